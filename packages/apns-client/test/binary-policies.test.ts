import { describe, expect, test } from 'vitest';
import { createBinaryTransport } from '../src/index.ts';
import { BinarySchedule } from './binary-schedule.ts';
import { TestCredential } from './test-credential.ts';

// What a transport decides, on a clock and a gateway that do nothing by themselves.

/** Lets what was submitted go out, to connections that open. */
async function start(schedule: BinarySchedule): Promise<void> {
  await Promise.resolve();
  schedule.gateway.flow();
  schedule.clock.advance(100);
}

/** As long as something goes on: everything the gateway and the network have to do, but no time. */
async function settle({ gateway }: BinarySchedule, rounds = 200): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    gateway.flow();
    await Promise.resolve();
  }
}

describe('a run with many invalid tokens', () => {
  test('goes on over a connection of its own after the third, while others stream', async () => {
    const schedule = new BinarySchedule({ connections: 1, confirmAfterMs: 60_000, rotationFloorMs: 60_000 });
    const bad = schedule.submit(100, [3, 7, 20, 40, 41, 60, 99]);
    const good = schedule.submit(100);
    await start(schedule);
    await settle(schedule);
    expect(bad.positions('rejected')).toEqual([3, 7, 20, 40, 41, 60, 99]);
    expect(good.open).toBe(100);
    // Three cuts before it was a suspect, and four that only it has noticed: the main connection lives.
    expect(schedule.observed.ends).toHaveLength(7);
    expect(schedule.gateway.live).toHaveLength(1);
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });

  test('takes along what still waits of it', async () => {
    const schedule = new BinarySchedule({ connections: 1, window: 20, confirm: 'presumed' });
    const bad = schedule.submit(100, [0, 1, 2, 90, 95]);
    const good = schedule.submit(100);
    await start(schedule);
    await settle(schedule);
    // Only good ones go over the main connection now: it fills its window with them.
    expect(good.writes.subarray(0, 20)).toEqual(new Uint32Array(20).fill(1));
    expect(bad.writes.subarray(40)).toEqual(new Uint32Array(60));
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });

  test('is written in stretches that grow while no error comes, and begins anew after one', async () => {
    const schedule = new BinarySchedule({ connections: 1, shortestStretch: 10, confirmAfterMs: 60_000 });
    schedule.submit(1_000, [0, 1, 2, 103]);
    await start(schedule);
    await settle(schedule, 10);
    const taken = [schedule.gateway.taken.size];
    for (let round = 0; round < 4; round++) {
      // The handshake took no time on this clock: an answer is waited for a millisecond.
      schedule.clock.advance(1);
      await settle(schedule, 10);
      taken.push(schedule.gateway.taken.size);
    }
    // The third stretch is cut short after a hundred good ones: twice as many are what the next connection begins with.
    expect(taken).toEqual([10, 10 + 20, 30 + 40, 70 + 30 + 200, 300 + 400]);
    schedule.transport.destroy();
    schedule.expectIdentity();
  });

  test('leaves attempts to connect to the others', async () => {
    const schedule = new BinarySchedule({
      connections: 1,
      attemptsPerMinute: 40,
      confirmAfterMs: 60_000,
      rotationFloorMs: 60_000,
    });
    schedule.submit(
      1_000,
      Array.from({ length: 1_000 }, (_, position) => position),
    );
    await start(schedule);
    await settle(schedule);
    // Half of the burst of twenty is spent; the rest is for whoever is no suspect.
    expect(schedule.gateway.sockets).toHaveLength(10);
    const other = schedule.submit(10);
    await start(schedule);
    await settle(schedule);
    expect(schedule.gateway.taken.size).toBe(10);
    expect(other.positions('rejected')).toEqual([]);
    schedule.clock.advance(60_000);
    await settle(schedule);
    expect(schedule.gateway.sockets.length).toBeLessThanOrEqual(40 + 1);
    schedule.transport.destroy();
  });
});

describe('errors that come half a second late', () => {
  test.each([
    ['invalid tokens', 8],
    ['shutdowns', 10],
  ])('have little written in vain: %s', async (_, status) => {
    const schedule = new BinarySchedule({ connections: 1, confirm: 'presumed', suspectAfter: 1_000 });
    const { gateway, clock } = schedule;
    const count = 3_000;
    const bad = Array.from({ length: count / 50 }, (__, index) => index * 50 + 49);
    const run = schedule.submit(count, status === 8 ? bad : []);
    for (let step = 0; run.open > 0 && step < 20_000; step++) {
      await Promise.resolve();
      for (const socket of gateway.live) {
        socket.accept();
        for (let write = 0; write < 3; write++) socket.take();
        socket.read();
        if (status === 10 && socket.taken >= 50) socket.shutDown();
        if (step % 10 === 0) socket.deliver();
      }
      clock.advance(50);
    }
    expect(run.open).toBe(0);
    const written = run.writes.reduce((sum, times) => sum + times, 0);
    expect(written / count).toBeLessThan(6);
    schedule.transport.destroy();
  });
});

describe('rotation', () => {
  test('opens the successor first, and proves when it serves', async () => {
    const schedule = new BinarySchedule({ connections: 1, window: 50 });
    const run = schedule.submit(100);
    await start(schedule);
    await settle(schedule);
    expect(schedule.gateway.taken.size).toBe(50);
    schedule.clock.advance(2_000);
    expect(schedule.gateway.live).toHaveLength(2);
    expect(run.open).toBe(100);
    const [old, successor] = schedule.gateway.live;
    successor!.accept();
    expect(successor!.isOpen).toBe(true);
    old!.flow();
    expect(run.sums).toEqual({ proved: 50, open: 50 });
    await schedule.calm(() => run.open === 0);
  });

  test('goes on with the old connection where no successor comes', async () => {
    const schedule = new BinarySchedule({ connections: 1, window: 50 });
    schedule.submit(100);
    await start(schedule);
    await settle(schedule);
    schedule.clock.advance(2_000);
    schedule.gateway.live[1]!.break();
    expect(schedule.gateway.live[0]!.isOver).toBe(false);
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });

  test('keeps its floor', async () => {
    const schedule = new BinarySchedule({ connections: 1, window: 10, rotationFloorMs: 10_000 });
    schedule.submit(1_000);
    await start(schedule);
    for (let second = 0; second < 60; second++) {
      await settle(schedule, 3);
      schedule.clock.advance(1_000);
    }
    const rotations = schedule.observed.ends.filter((end) => end === 'rotated').length;
    expect(rotations).toBeGreaterThanOrEqual(5);
    expect(rotations).toBeLessThanOrEqual(7);
    schedule.transport.destroy();
  });

  test('proves the last of the traffic as well, in bounded time', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 1_000, rotationFloorMs: 3_000 });
    const run = schedule.submit(10);
    await start(schedule);
    await settle(schedule);
    for (let step = 0; step < 25; step++) {
      schedule.clock.advance(100);
      schedule.gateway.flow();
    }
    expect(run.sums).toEqual({ proved: 10 });
    expect(schedule.observed.ends).toEqual(['rotated']);
  });
});

describe('a drain', () => {
  test('before the connection has opened writes, proves and ends', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 60_000 });
    const run = schedule.submit(10);
    let isDrained = false;
    void schedule.transport.drain(10_000).then(() => {
      isDrained = true;
    });
    expect(schedule.transport.room).toBe(0);
    await schedule.calm(() => isDrained);
    expect(run.sums).toEqual({ proved: 10 });
  });

  test('with a gateway that does not answer hands back at once what was never written', async () => {
    const schedule = new BinarySchedule();
    const run = schedule.submit(10);
    await Promise.resolve();
    schedule.gateway.live[0]!.break();
    await schedule.transport.drain(10_000);
    expect(run.sums).toEqual({ unprocessed: 10 });
  });

  test('whose deadline passes says what is in doubt and what was never written', async () => {
    const schedule = new BinarySchedule({ window: 10, connections: 1, confirmAfterMs: 60_000 });
    const run = schedule.submit(30);
    await start(schedule);
    schedule.gateway.flow();
    const drained = schedule.transport.drain(2_000);
    schedule.clock.advance(2_000);
    await drained;
    expect(run.sums).toEqual({ uncertain: 10, unprocessed: 20 });
  });

  test('of command 0 waits for silence', async () => {
    const schedule = new BinarySchedule({ command: 0, confirm: 'presumed' });
    const run = schedule.submit(10);
    await start(schedule);
    await settle(schedule);
    const drained = schedule.transport.drain(10_000);
    schedule.clock.advance(1_500);
    await drained;
    expect(run.sums).toEqual({ presumed: 10 });
  });

  test('takes no more runs', async () => {
    const schedule = new BinarySchedule();
    await schedule.transport.drain(10_000);
    expect(schedule.submit(5).sums).toEqual({ unprocessed: 5 });
    expect(schedule.transport.state).toEqual({ kind: 'closed' });
  });
});

describe("a system's clock that is set", () => {
  test.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('%s neither settles anything nor keeps anything from settling', async (_, byMs) => {
    const schedule = new BinarySchedule({ confirm: 'presumed', confirmAfterMs: 1_000 });
    const run = schedule.submit(10);
    await start(schedule);
    await settle(schedule);
    schedule.clock.set(byMs);
    schedule.clock.advance(900);
    expect(run.open).toBe(10);
    schedule.clock.advance(300);
    expect(run.sums).toEqual({ presumed: 10 });
    schedule.transport.destroy();
  });

  test('decides what has expired', async () => {
    const schedule = new BinarySchedule();
    const expiration = schedule.clock.epochMs() / 1_000 + 60;
    schedule.clock.set(61_000);
    const run = schedule.submit(3, [], { expirations: { 0: expiration, 2: expiration } });
    await start(schedule);
    await settle(schedule);
    expect(run.positions('expired')).toEqual([0, 2]);
    schedule.transport.destroy();
  });
});

describe('what is never written', () => {
  test('is what has expired', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 60_000 });
    const now = Math.floor(schedule.clock.now() / 1_000);
    const run = schedule.submit(6, [], { expirations: { 0: now, 1: now - 5, 3: now - 1, 4: now + 60 } });
    await start(schedule);
    await settle(schedule);
    expect(run.positions('expired')).toEqual([0, 1, 3]);
    expect(schedule.gateway.taken.size).toBe(3);
    await schedule.calm(() => run.open === 0);
  });

  test('is what expires while it waits', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 60_000, connectTimeoutMs: 60_000 });
    const now = Math.floor(schedule.clock.now() / 1_000);
    const run = schedule.submit(3, [], { expirations: { 1: now + 30 } });
    await Promise.resolve();
    schedule.clock.advance(40_000);
    await schedule.calm(() => run.open === 0);
    expect(run.sums).toEqual({ proved: 2, expired: 1 });
  });

  test('is what no gateway would take: it costs no connection', () => {
    const schedule = new BinarySchedule({ command: 1 });
    const long = schedule.submit(2, [], { payload: `{"aps":{"alert":"${'x'.repeat(250)}"}}` });
    expect(long.settlements[0]).toEqual({
      kind: 'rejected',
      answer: { reason: 'invalid-payload-size', status: 7, fault: 'notification', tokenInvalid: false },
    });
    const empty = schedule.submit(1, [], { payload: '' });
    expect(empty.settlements[0]).toMatchObject({ answer: { status: 4 } });
    expect(schedule.transport.inFlight).toBe(0);
    expect(schedule.gateway.sockets).toEqual([]);
  });
});

describe('a transport', () => {
  test('says how much room there is, and when there is room again', async () => {
    const schedule = new BinarySchedule({ connections: 1, window: 100, confirm: 'presumed' });
    let told = 0;
    schedule.transport.onRoom(() => {
      told += 1;
    });
    expect(schedule.transport.room).toBe(100);
    schedule.submit(100);
    expect(schedule.transport.room).toBe(0);
    await start(schedule);
    await settle(schedule);
    told = 0;
    schedule.clock.advance(1_200);
    expect([schedule.transport.room, told]).toEqual([100, 1]);
  });

  test('closes a connection that was idle for long, and opens a fresh one for what comes then', async () => {
    const schedule = new BinarySchedule({ confirm: 'presumed', idleTimeoutMs: 300_000 });
    schedule.submit(1);
    await start(schedule);
    await settle(schedule);
    schedule.clock.advance(299_000);
    expect(schedule.observed.ends).toEqual([]);
    for (let second = 0; second < 31; second++) {
      schedule.clock.advance(1_000);
      schedule.gateway.flow();
    }
    expect(schedule.observed.ends).toEqual(['idle']);
    expect(schedule.observed.unconfirmed).toBe(0);
    expect(schedule.transport.state).toEqual({ kind: 'idle' });
    schedule.submit(1);
    await start(schedule);
    await settle(schedule);
    expect(schedule.gateway.taken.size).toBe(2);
  });

  test('never writes on a connection that was idle for too long, even before it has been closed', async () => {
    const schedule = new BinarySchedule({ confirm: 'presumed', idleTimeoutMs: 10_000 });
    schedule.submit(1);
    await start(schedule);
    await settle(schedule);
    schedule.clock.advance(10_500);
    expect(schedule.observed.ends).toEqual([]);
    schedule.submit(1);
    await Promise.resolve();
    await start(schedule);
    await settle(schedule);
    expect(schedule.observed.ends).toEqual(['idle']);
    expect(schedule.gateway.sockets).toHaveLength(2);
    schedule.expectAllTaken();
  });

  test.each([
    ['idle', (schedule: BinarySchedule) => schedule.clock.advance(36_000)],
    ['drained', (schedule: BinarySchedule) => void schedule.transport.drain(60_000)],
  ])(
    'asks what silence has settled before it is %s, and counts what stays without an answer',
    async (_, end) => {
      const schedule = new BinarySchedule({ connections: 1, confirm: 'presumed', idleTimeoutMs: 10_000 });
      const run = schedule.submit(100);
      await start(schedule);
      const [socket] = schedule.gateway.live;
      // The kernel takes it, and the gateway reads nothing.
      await Promise.resolve();
      socket!.take();
      schedule.clock.advance(2_000);
      expect(run.sums).toEqual({ presumed: 100 });
      end(schedule);
      socket!.take();
      schedule.clock.advance(10_000);
      expect(schedule.observed.ends).toEqual(['proof-timeout']);
      expect(schedule.observed.unconfirmed).toBe(100);
      schedule.transport.destroy();
    },
  );

  test('pauses when the gateway does not know the topic, and tries again by itself', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 60_000 });
    const run = schedule.submit(10);
    await start(schedule);
    schedule.gateway.live[0]!.refuseNext(3);
    await settle(schedule);
    expect(run.sums).toEqual({ unprocessed: 10 });
    expect(schedule.transport.state).toMatchObject({ kind: 'paused', reason: 'missing-topic' });
    await schedule.calm(() => schedule.transport.room > 0);
    expect(schedule.transport.state.kind).toBe('open');
  });

  test('asks the gateway at once whether a trouble is over, and says when it did', async () => {
    const schedule = new BinarySchedule({ confirmAfterMs: 60_000, pauseProbeMs: 600_000 });
    const { transport } = schedule;
    schedule.submit(10);
    await start(schedule);
    schedule.gateway.live[0]!.refuseNext(3);
    await settle(schedule);
    const sinceMs = schedule.clock.now();
    expect(transport.state).toMatchObject({ kind: 'paused', sinceMs, checkedAtMs: sinceMs, isHold: false });
    schedule.clock.advance(10_000);
    expect(schedule.gateway.live).toHaveLength(0);
    transport.probeNow();
    await start(schedule);
    await schedule.calm(() => transport.room > 0);
    expect(schedule.clock.now() - sinceMs).toBeLessThan(60_000);
    expect(transport.state.kind).toBe('open');
  });

  test('never attempts more connections in a minute than it may', async () => {
    const schedule = new BinarySchedule({ attemptsPerMinute: 30, backoff: { baseMs: 1, capMs: 1 } });
    schedule.submit(1);
    await Promise.resolve();
    for (let second = 0; second < 60; second++) {
      for (const socket of schedule.gateway.live) socket.break();
      schedule.clock.advance(1_000);
    }
    expect(schedule.gateway.sockets.length).toBeGreaterThan(20);
    expect(schedule.gateway.sockets.length).toBeLessThanOrEqual(31);
    schedule.transport.destroy();
  });

  test('is not disturbed by an observer that throws', async () => {
    const fail = () => {
      throw new Error('an observer');
    };
    const schedule = new BinarySchedule({
      observer: {
        stateChanged: fail,
        connectionOpened: fail,
        connectionClosed: fail,
        errorResponse: fail,
        replayed: fail,
      },
    });
    schedule.transport.onRoom(fail);
    const run = schedule.submit(10, [4]);
    await schedule.calm(() => run.open === 0);
    expect(run.sums).toEqual({ proved: 9, rejected: 1 });
  });

  test('refuses to prove by command 0', () => {
    const options = {
      host: 'gateway.test',
      port: 2195,
      credential: new TestCredential({ cert: '', key: '' }),
    };
    expect(() => createBinaryTransport({ ...options, command: 0, confirm: 'proved' })).toThrow(
      'confirm "proved" needs command 1 or 2',
    );
  });
});
