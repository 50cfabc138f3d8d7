import { describe, expect } from 'vitest';
import { ConnectionAllowance, type Http2TransportOptions } from '../src/index.ts';
import { Http2Schedule } from './http2-schedule.ts';
import { test as kitTest } from './http2-test.ts';

// Connections by demand: how many there are, what waits being more than one carries over a distance.

const test = kitTest;

function open(options: Partial<Http2TransportOptions> = {}): Http2Schedule {
  return new Http2Schedule({ firstLimit: 100, connections: 8, ...options });
}

/** Round trips to a gateway that is `ms` away. Stops when `until` says so. */
async function trips(
  schedule: Http2Schedule,
  most: number,
  until: () => boolean = () => false,
  ms = 50,
): Promise<void> {
  for (let half = 0; half < 2 * most && !until(); half++) {
    await schedule.turn();
    schedule.clock.advance(ms / 2);
    for (const socket of schedule.gateway.live) {
      socket.deliver();
      socket.read();
      while (socket.waiting > 0) socket.answer();
      socket.accept();
      socket.takeAll();
    }
  }
  await schedule.turn();
}

const connections = ({ gateway }: Http2Schedule): number => gateway.live.length;

describe('over a distance', () => {
  test('a backlog opens connections, twice as many each time, and a quiet time closes them again', async () => {
    const schedule = open();
    const run = schedule.submit(20_000);
    const seen = new Set<number>();
    await trips(schedule, 400, () => {
      seen.add(connections(schedule));
      return connections(schedule) === 8;
    });
    expect([...seen]).toEqual([0, 1, 2, 4, 8].slice(seen.has(0) ? 0 : 1));
    expect(schedule.transport.figures).toMatchObject({ wanted: 8, need: 'streams' });
    await trips(schedule, 400, () => run.open === 0);
    expect(run.sums).toEqual({ proved: 20_000 });
    // A little goes on: one connection is enough for it.
    await trips(schedule, 600, () => {
      if (schedule.transport.inFlight === 0) schedule.submit(3);
      return false;
    });
    expect(connections(schedule)).toBe(8);
    await trips(schedule, 800, () => {
      if (schedule.transport.inFlight === 0) schedule.submit(3);
      return connections(schedule) === 1;
    });
    expect(connections(schedule)).toBe(1);
    expect(schedule.transport.figures).toMatchObject({ wanted: 1, need: 'least' });
    expect(new Set(schedule.observed.ends)).toEqual(new Set(['idle']));
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });

  test('takes no longer than a second and a half to eight connections', async () => {
    const schedule = open();
    schedule.submit(20_000);
    const began = schedule.clock.now();
    await trips(schedule, 400, () => connections(schedule) === 8);
    expect(schedule.clock.now() - began).toBeLessThanOrEqual(1_500);
  });

  test('a burst that one connection carries opens no other', async () => {
    const schedule = open();
    for (let burst = 0; burst < 20; burst++) {
      schedule.submit(90);
      await trips(schedule, 4);
    }
    expect(connections(schedule)).toBe(1);
  });

  test('a window of flow control that is used up is a reason, too', async ({ kit }) => {
    const server = await kit.node({ settings: { maxConcurrentStreams: 1_000 } });
    const proxy = await kit.proxy(server.port);
    for (const direction of ['upstream', 'downstream'] as const)
      proxy.add(direction, { type: 'latency', latencyMs: 20 });
    const { submit, transport, observed } = kit.open(proxy.port, { connections: 4, shrinkAfterMs: 300 });
    const payload = `{"aps":{},"x":"${'y'.repeat(2_000)}"}`;
    const run = submit({ count: 4_000, payload });
    await expect
      .poll(() => transport.figures, { timeout: 20_000, interval: 5 })
      .toMatchObject({ need: 'window' });
    expect((await run.settled(60_000)).sums).toEqual({ proved: 4_000 });
    expect(observed.opened).toBeGreaterThan(1);
    await expect.poll(() => transport.figures.connections.length, { timeout: 20_000 }).toBe(1);
    // Timers of the proxy may fire a millisecond early, each way.
    expect(transport.figures.connections[0]!.roundTripMs).toBeGreaterThanOrEqual(35);
    // Those after the first took up the TLS session of one before them.
    expect(observed.resumed).toBe(observed.opened - 1);
    expect(new Set(observed.ends)).toEqual(new Set(['idle']));
  });

  test('more connections are not opened where it is the gateway that answers wait for', async () => {
    const schedule = open();
    schedule.submit(1);
    await trips(schedule, 20, () => false, 1);
    const run = schedule.submit(3_500);
    await trips(schedule, 200, () => run.open === 0);
    expect(run.sums).toEqual({ proved: 3_500 });
    expect(schedule.gateway.sockets).toHaveLength(1);
  });

  test('a gateway that serves each connection slowly gets more by trial', async () => {
    const schedule = open();
    schedule.submit(1);
    await trips(schedule, 20, () => false, 1);
    const run = schedule.submit(60_000);
    // Each of them answers within 200 ms, however many there are.
    await trips(schedule, 400, () => connections(schedule) === 8, 200);
    expect(connections(schedule)).toBe(8);
    expect(schedule.observed.ends).toEqual([]);
    await trips(schedule, 400, () => run.open === 0);
    expect(run.sums).toEqual({ proved: 60_000 });
  });

  test('a trial that gains nothing is given up, and not made again for a minute', async () => {
    const schedule = open();
    schedule.submit(1);
    await trips(schedule, 20, () => false, 1);
    const run = schedule.submit(60_000);
    const began = schedule.clock.now();
    // All of them share 100 answers in 200 ms.
    const turns = async (most: number, until: () => boolean): Promise<void> => {
      for (let trip = 0; trip < most && !until(); trip++) {
        await schedule.turn();
        schedule.clock.advance(200);
        const { live } = schedule.gateway;
        for (const socket of live) {
          socket.accept();
          socket.takeAll();
          socket.read();
        }
        for (let answers = 0; answers < 100; answers++) live[answers % live.length]!.answer();
        for (const socket of live) socket.deliver();
      }
    };
    await turns(400, () => schedule.observed.ends.length > 0);
    expect(schedule.observed.ends).toEqual(['idle']);
    expect(schedule.clock.now() - began).toBeLessThan(12_000);
    const { length } = schedule.gateway.sockets;
    expect(length).toBe(2);
    await turns(270, () => schedule.gateway.sockets.length > length);
    expect(schedule.clock.now() - began).toBeGreaterThan(55_000);
    expect(run.sums.uncertain).toBeUndefined();
    schedule.transport.destroy();
    schedule.expectOver();
  });

  test('a gateway that does not answer gets no more connections', async () => {
    const schedule = open();
    const first = schedule.submit(50);
    await trips(schedule, 30, () => first.open === 0);
    schedule.gateway.live[0]!.service = 'silent';
    schedule.submit(5_000);
    await trips(schedule, 40);
    expect(connections(schedule)).toBe(1);
  });

  test('the least are opened with the first work, and kept', async () => {
    const schedule = open({ leastConnections: 3, shrinkAfterMs: 1_000 });
    expect(connections(schedule)).toBe(0);
    schedule.submit(1);
    await trips(schedule, 60);
    expect(connections(schedule)).toBe(3);
    await trips(schedule, 200);
    expect(connections(schedule)).toBe(3);
  });

  test('transports with one allowance have no more than it between them, beyond the first of each', async () => {
    const allowance = new ConnectionAllowance(5);
    const schedules = Array.from({ length: 3 }, () => open({ allowance, shrinkAfterMs: 2_000 }));
    const runs = schedules.map((schedule) => schedule.submit(20_000));
    for (let trip = 0; trip < 60; trip++) {
      for (const schedule of schedules) await trips(schedule, 1);
      const all = schedules.map(connections);
      expect(all.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(8);
    }
    expect(schedules.map(connections).reduce((sum, each) => sum + each, 0)).toBe(8);
    for (const [place, schedule] of schedules.entries())
      await trips(schedule, 900, () => runs[place]!.open === 0);
    expect(runs.map(({ sums }) => sums)).toEqual(runs.map(() => ({ proved: 20_000 })));
    for (const { transport } of schedules) transport.destroy();
    expect(allowance.held).toBe(0);
  });
});

describe('while connections become more', () => {
  test('GOAWAY on all of them loses nothing, and they become as many again', async () => {
    const schedule = open();
    const run = schedule.submit(20_000);
    await trips(schedule, 400, () => connections(schedule) === 4);
    for (const socket of schedule.gateway.live) socket.goAway();
    await trips(schedule, 400, () => connections(schedule) === 8);
    expect(connections(schedule)).toBe(8);
    await trips(schedule, 2_000, () => run.open === 0);
    expect(run.sums).toEqual({ proved: 20_000 });
    schedule.expectIdentity();
  });

  test('connections that do not come about are not tried again and again, and the others go on', async () => {
    const schedule = open();
    const run = schedule.submit(60_000);
    await trips(schedule, 400, () => connections(schedule) === 2);
    const [served] = schedule.gateway.live;
    await trips(schedule, 700, () => {
      for (const socket of schedule.gateway.live) if (socket !== served) socket.break('ECONNREFUSED');
      return run.open < 10_000;
    });
    expect(schedule.transport.state).toEqual({ kind: 'open', connections: 1 });
    expect(schedule.observed.states.map(({ kind }) => kind)).not.toContain('paused');
    // Half a minute: after 1, 2, 4, 8 and 16 s.
    expect(schedule.gateway.sockets.length).toBeLessThanOrEqual(10);
    schedule.transport.destroy();
    schedule.expectOver();
  });

  test('a credential that is refused is refused once on each connection there is, and asked about on one', async () => {
    const schedule = open();
    const run = schedule.submit(20_000);
    await trips(schedule, 400, () => connections(schedule) === 4);
    schedule.gateway.refusesCredential = true;
    await trips(schedule, 20, () => schedule.transport.state.kind === 'paused');
    expect(schedule.transport.state).toMatchObject({ kind: 'paused', about: 'credential' });
    expect(schedule.observed.states.filter(({ kind }) => kind === 'paused')).toHaveLength(1);
    const [opened, refused] = [schedule.gateway.sockets.length, schedule.observed.statuses.length];
    await trips(schedule, 1_200);
    // Two minutes by probes every half of one, a quarter more or less.
    expect(schedule.gateway.sockets.length - opened).toBeLessThanOrEqual(6);
    expect(schedule.observed.statuses.length - refused).toBeLessThanOrEqual(6);
    expect(connections(schedule)).toBeLessThanOrEqual(1);
    expect(run.open).toBe(0);
    await schedule.calm(() => schedule.transport.state.kind === 'open');
    schedule.expectIdentity();
    schedule.transport.destroy();
    schedule.expectOver();
  });

  test('a drain settles what is under way, and opens nothing more', async () => {
    const schedule = open();
    const run = schedule.submit(20_000);
    await trips(schedule, 400, () => schedule.gateway.sockets.length === 4);
    const isDrained = schedule.drain(5_000);
    await trips(schedule, 40, isDrained);
    expect(isDrained()).toBe(true);
    expect(schedule.gateway.sockets).toHaveLength(4);
    expect(run.sums.uncertain).toBeUndefined();
    expect(run.sums.unprocessed! + run.sums.proved!).toBe(20_000);
    schedule.expectOver();
  });
});
