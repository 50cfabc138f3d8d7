import { describe, expect, test } from 'vitest';
import { Http2Schedule } from './http2-schedule.ts';
import type { RecordedRun } from './recorded-run.ts';

// A connection is judged by whether it does its work, and a gateway that does not is not hammered. Time is a test's own.

function open(options: Partial<ConstructorParameters<typeof Http2Schedule>[0]> = {}): Http2Schedule {
  return new Http2Schedule({ connections: 1, firstLimit: 100, ...options });
}

/** Lets everything flow, a bit of time passing between. */
async function flow(schedule: Http2Schedule, rounds = 12, ms = 5): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    schedule.gateway.flow();
    schedule.clock.advance(ms);
    await schedule.turn();
  }
}

/** A schedule with one connection that has served. */
async function serving(options?: Parameters<typeof open>[0]): Promise<Http2Schedule> {
  const schedule = open(options);
  const run = schedule.submit(5);
  await flow(schedule);
  expect(run.sums).toEqual({ proved: 5 });
  return schedule;
}

function timesTaken(schedule: Http2Schedule, run: RecordedRun): number[] {
  return run.settlements.map((_, position) => schedule.gateway.taken.get(run.token(position)) ?? 0);
}

describe('a connection that answers no request', () => {
  test('is left within seconds although it answers PINGs, and the rest goes over another', async () => {
    const schedule = await serving();
    const [first] = schedule.gateway.live;
    first!.service = 'silent';
    const lost = schedule.submit(20);
    await flow(schedule);
    schedule.clock.advance(4_000);
    // Nothing new is written to it.
    const next = schedule.submit(20);
    await flow(schedule, 40, 100);
    expect(next.sums).toEqual({ proved: 20 });
    expect(schedule.gateway.sockets).toHaveLength(2);
    await flow(schedule, 40, 1_000);
    expect(lost.sums).toEqual({ uncertain: 20 });
    expect(schedule.observed.ends).toEqual(['stream-stalled']);
    // Sent again by the worker, each has reached the gateway twice at most.
    expect(Math.max(...timesTaken(schedule, lost))).toBe(1);
    schedule.expectIdentity();
  });

  test('still settles what it answers late', async () => {
    const schedule = await serving();
    const [first] = schedule.gateway.live;
    const run = schedule.submit(20);
    await schedule.turn();
    schedule.clock.advance(4_000);
    await schedule.turn();
    expect(schedule.transport.state.kind).not.toBe('open');
    first!.flow();
    await schedule.turn();
    expect(run.sums).toEqual({ proved: 20 });
  });

  test('is left when the way back is dead and neither answers nor PINGs return', async () => {
    const schedule = await serving();
    const [first] = schedule.gateway.live;
    first!.service = 'silent';
    first!.deafen();
    const lost = schedule.submit(15);
    await flow(schedule);
    schedule.clock.advance(4_000);
    const next = schedule.submit(5);
    await flow(schedule, 60, 100);
    expect(next.sums).toEqual({ proved: 5 });
    await flow(schedule, 40, 1_000);
    expect(lost.sums).toEqual({ uncertain: 15 });
    schedule.expectIdentity();
  });

  test('is not blamed for the time that this process stood still', async () => {
    const schedule = await serving();
    const [first] = schedule.gateway.live;
    const run = schedule.submit(20);
    await schedule.turn();
    first!.take();
    first!.read();
    while (first!.waiting > 0) first!.answer();
    schedule.clock.standStill(40_000);
    // Timers come before what has been received.
    schedule.clock.advance(1);
    first!.deliver();
    await schedule.turn();
    expect(run.sums).toEqual({ proved: 20 });
    expect(schedule.observed.ends).toEqual([]);
  });

  test('on every connection pauses the worker before a third copy, and what waits goes back', async () => {
    const schedule = open();
    const first = schedule.submit(50);
    for (let round = 0; round < 1_200 && schedule.transport.state.kind !== 'paused'; round++) {
      for (const socket of schedule.gateway.live) socket.service = 'silent';
      await flow(schedule, 1, 100);
    }
    expect(schedule.transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
    await flow(schedule, 400, 100);
    // One request on each connection was at stake.
    expect(first.sums.uncertain).toBeLessThanOrEqual(3);
    expect((first.sums.uncertain ?? 0) + (first.sums.unprocessed ?? 0)).toBe(50);
    await schedule.calm(() => schedule.transport.state.kind === 'open');
    schedule.expectIdentity();
  });

  test('one stream without an answer among others that have theirs does not end it', async () => {
    const schedule = await serving();
    const [first] = schedule.gateway.live;
    const run = schedule.submit(10);
    await schedule.turn();
    first!.take();
    first!.read();
    first!.hang();
    for (let second = 0; second < 35; second++) {
      schedule.submit(1);
      await flow(schedule, 2, 500);
    }
    expect(run.sums).toEqual({ proved: 9, uncertain: 1 });
    expect(schedule.observed.ends).toEqual([]);
  });
});

describe('a connection that answers nothing but 5xx', () => {
  test('is left, and another one serves', async () => {
    const schedule = await serving();
    schedule.gateway.live[0]!.service = 'ailing';
    const failed = schedule.submit(20);
    await flow(schedule);
    expect(failed.sums).toEqual({ retryable: 20 });
    expect(failed.settlements[0]).toMatchObject({ answer: { fault: 'gateway', status: 500 } });
    expect(schedule.observed.ends).toEqual(['gateway-errors']);
    const next = schedule.submit(20);
    await flow(schedule, 60, 100);
    expect(next.sums).toEqual({ proved: 20 });
    schedule.expectIdentity();
  });

  test('everywhere is asked ever more seldom, and with little', async () => {
    const schedule = await serving({ window: 100_000 });
    let answers = 0;
    schedule.submit(20_000);
    for (let second = 0; second < 900; second++) {
      for (const socket of schedule.gateway.live) socket.service = 'ailing';
      await flow(schedule, 1, 1_000);
    }
    answers = schedule.observed.statuses.length;
    // What was allowed at once, and then five on each connection.
    const connections = schedule.gateway.sockets.length;
    expect(answers).toBeLessThanOrEqual(100 + 5 * connections);
    expect(connections).toBeLessThan(200);
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });

  test('now and then is no reason to leave it', async () => {
    const schedule = await serving();
    for (let round = 0; round < 40; round++) {
      schedule.submit(1);
      await schedule.turn();
      const [socket] = schedule.gateway.live;
      if (round % 5 < 4) {
        socket!.take();
        socket!.read();
        socket!.fail();
      }
      await flow(schedule, 1);
    }
    expect(schedule.observed.ends).toEqual([]);
  });
});

describe("an answer that is not the gateway's", () => {
  test('is held against nothing, and another connection serves', async () => {
    const schedule = await serving();
    schedule.gateway.live[0]!.service = 'strange';
    const run = schedule.submit(20);
    await flow(schedule);
    expect(run.sums).toEqual({ retryable: 20 });
    expect(run.settlements[0]).toMatchObject({ answer: { fault: 'gateway', reason: 'Status403' } });
    expect(schedule.observed.ends).toEqual(['foreign-answers']);
    expect(schedule.observed.states.map(({ kind }) => kind)).not.toContain('paused');
    const next = schedule.submit(20);
    await flow(schedule, 60, 100);
    expect(next.sums).toEqual({ proved: 20 });
  });

  test('on every connection is trouble on the way of this worker', async () => {
    const schedule = open();
    const run = schedule.submit(50);
    for (let round = 0; round < 600 && schedule.transport.state.kind !== 'paused'; round++) {
      await schedule.turn();
      for (const socket of schedule.gateway.live) socket.service = 'strange';
      await flow(schedule, 1, 100);
    }
    expect(schedule.transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
    expect(run.sums.rejected).toBeUndefined();
    await schedule.calm(() => schedule.transport.state.kind === 'open');
    schedule.expectIdentity();
  });
});

describe('a topic that is refused', () => {
  test('pauses about the topic where it is the bundle id, until a probe is let through', async () => {
    const schedule = await serving();
    schedule.gateway.refusedTopics.add('com.example.shop');
    const run = schedule.submit(500);
    await flow(schedule);
    expect(run.sums).toEqual({ unprocessed: 500 });
    expect(schedule.transport.state).toMatchObject({
      kind: 'paused',
      about: 'topic',
      reason: 'TopicDisallowed',
    });
    await flow(schedule, 100, 1_000);
    expect(schedule.transport.state.kind).toBe('paused');
    await schedule.calm(() => schedule.transport.state.kind === 'open');
    schedule.expectIdentity();
  });

  test('puts off one push type where its suffix is refused, and the rest of the app goes on', async () => {
    const schedule = await serving();
    schedule.gateway.refusedTopics.add('com.example.shop.voip');
    const calls = schedule.submit(300, [], { http2: { pushType: 'voip' } });
    const alerts = schedule.submit(300);
    await flow(schedule, 40);
    expect(calls.sums).toEqual({ retryable: 300 });
    expect(calls.settlements[299]).toMatchObject({
      answer: { fault: 'gateway', reason: 'TopicDisallowed (com.example.shop.voip)', retryAfterMs: 30_000 },
    });
    expect(alerts.sums).toEqual({ proved: 300 });
    // Known to be refused, it is not asked again for each.
    const asked = schedule.observed.statuses.length;
    expect(asked).toBeLessThanOrEqual(100);
    expect(schedule.submit(5, [], { http2: { pushType: 'voip' } }).sums).toEqual({ open: 5 });
    await flow(schedule);
    expect(schedule.observed.statuses).toHaveLength(asked);
    // After a while, the next one asks; once it is taken, all are.
    schedule.gateway.refusedTopics.clear();
    schedule.clock.advance(30_000);
    const later = schedule.submit(5, [], { http2: { pushType: 'voip' } });
    await flow(schedule, 20);
    expect(later.sums).toEqual({ proved: 5 });
    schedule.expectIdentity();
  });
});

test('a request that was not sent to its end is unprocessed when its connection ends', async () => {
  const schedule = await serving();
  const [first] = schedule.gateway.live;
  first!.narrow(7);
  await flow(schedule, 2);
  const run = schedule.submit(1);
  await schedule.turn();
  first!.break();
  await flow(schedule, 60, 100);
  expect(run.sums).toEqual({ proved: 1 });
  expect(schedule.observed.uncertain).toBe(0);
  schedule.expectIdentity();
});

test('after doubt a connection begins with one stream, and one more for each answer', async () => {
  const schedule = await serving();
  schedule.submit(90);
  await schedule.turn();
  schedule.gateway.live[0]!.break();
  const run = schedule.submit(90);
  for (let round = 0; round < 20 && schedule.gateway.live.length === 0; round++) {
    schedule.clock.advance(100);
    await schedule.turn();
  }
  const [second] = schedule.gateway.live;
  second!.accept();
  for (const open of [1, 2, 4, 8]) {
    second!.deliver();
    await schedule.turn();
    for (let writes = 0; writes < 3; writes++) second!.take();
    second!.read();
    expect(second!.waiting).toBe(open);
    while (second!.waiting > 0) second!.answer();
  }
  await flow(schedule, 20);
  expect(run.sums).toEqual({ proved: 90 });
});
