import { describe, expect, test } from 'vitest';
import type { FakeHttp2Socket } from './fake-http2-gateway.ts';
import { Http2Schedule } from './http2-schedule.ts';

// Requests that go out before the gateway has said how many it takes.

async function open(firstLimit: number): Promise<Http2Schedule> {
  const schedule = new Http2Schedule({ connections: 1, firstLimit });
  schedule.submit(3);
  await flow(schedule);
  return schedule;
}

async function flow(schedule: Http2Schedule, rounds = 12): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    schedule.gateway.flow();
    schedule.clock.advance(1);
    await schedule.turn();
  }
}

/** TLS is up on the newest connection, and what we say reaches the gateway; what it says does not reach us. */
async function halfOpen(schedule: Http2Schedule): Promise<FakeHttp2Socket> {
  await schedule.turn();
  const socket = schedule.gateway.sockets.at(-1)!;
  socket.accept();
  await schedule.turn();
  socket.takeAll();
  socket.read();
  return socket;
}

/** The connection there is ends, and the next has work. */
async function reconnect(schedule: Http2Schedule, count: number) {
  schedule.gateway.live[0]!.goAway();
  await flow(schedule, 2);
  expect(schedule.gateway.live).toEqual([]);
  return schedule.submit(count);
}

describe('before SETTINGS', () => {
  test('one request goes out where the gateway has not taken the credential yet', async () => {
    const schedule = new Http2Schedule({ connections: 1, firstLimit: 100 });
    const run = schedule.submit(50);
    const socket = await halfOpen(schedule);
    expect(socket.waiting).toBe(1);
    await flow(schedule);
    expect(run.sums).toEqual({ proved: 50 });
  });

  test.each([
    ['as many as the gateway allowed at first on the one before', 40, 40],
    ['one where it allowed one', 1, 1],
    ['no more than 100, however many it allowed', 1_000, 100],
  ])('%s', async (_, firstLimit, early) => {
    const schedule = await open(firstLimit);
    const run = await reconnect(schedule, 500);
    const socket = await halfOpen(schedule);
    expect(socket.waiting).toBe(early);
    await flow(schedule, 600);
    expect(run.sums).toEqual({ proved: 500 });
    schedule.expectIdentity();
  });

  test('none after a failure, and one stream at first', async () => {
    const schedule = await open(100);
    schedule.gateway.live[0]!.break();
    const run = schedule.submit(50);
    schedule.clock.advance(300);
    const socket = await halfOpen(schedule);
    expect(socket.waiting).toBe(0);
    await flow(schedule, 60);
    expect(run.sums).toEqual({ proved: 50 });
  });

  test('what went out on a connection whose handshake the gateway refuses is sent again, without doubt', async () => {
    const schedule = await open(100);
    const run = await reconnect(schedule, 50);
    const socket = await halfOpen(schedule);
    socket.break('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    await schedule.turn();
    expect(schedule.transport.state).toMatchObject({ kind: 'paused', about: 'credential' });
    expect(run.sums).toEqual({ unprocessed: 50 });
  });

  test('what went out on a connection that breaks is uncertain, and nothing else is', async () => {
    const schedule = await open(10);
    const run = await reconnect(schedule, 50);
    const socket = await halfOpen(schedule);
    socket.break();
    await schedule.turn();
    expect(run.sums).toEqual({ uncertain: 10, open: 40 });
    await schedule.calm(() => schedule.transport.inFlight === 0);
    schedule.expectIdentity();
  });
});

test('a token that is renewed goes out with every request at once', async () => {
  const schedule = await open(100);
  schedule.tokens.renew();
  const run = schedule.submit(80);
  await schedule.turn();
  const [socket] = schedule.gateway.live;
  socket!.takeAll();
  socket!.read();
  expect(socket!.waiting).toBe(80);
  await flow(schedule);
  expect(run.sums).toEqual({ proved: 80 });
});

test('a further connection has 100 requests at stake until the gateway has answered one', async () => {
  const schedule = await open(1_000);
  const run = await reconnect(schedule, 500);
  const socket = await halfOpen(schedule);
  socket.deliver();
  await schedule.turn();
  socket.takeAll();
  socket.read();
  expect(socket.waiting).toBe(100);
  socket.service = 'ailing';
  while (socket.waiting > 0) socket.answer();
  socket.deliver();
  await schedule.turn();
  expect(run.sums).toEqual({ retryable: 100, open: 400 });
  await schedule.calm(() => run.open === 0);
  expect(run.sums).toEqual({ retryable: 100, proved: 400 });
});
