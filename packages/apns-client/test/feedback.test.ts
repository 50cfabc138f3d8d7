import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { FeedbackTuple } from '@pushfleet/apns-wire';
import { generateTokens } from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { expect, onTestFinished, vi } from 'vitest';
import { type FeedbackEnd, type ReadFeedbackOptions, readFeedback } from '../src/index.ts';
import { type Gateway, test } from './gateway-test.ts';

/** Of one tuple with a token of 32 bytes. */
const tupleLength = 4 + 2 + 32;
const time = 1_700_000_000;
const tuplesOf = (count: number, seed = 1) =>
  generateTokens({ count, seed }).map((token) => ({ token, time }));

interface Read extends FeedbackEnd {
  readonly given: readonly { readonly token: string; readonly time: number }[];
}

async function read(gateway: Gateway, more: Partial<ReadFeedbackOptions> = {}): Promise<Read> {
  const given: FeedbackTuple[] = [];
  const end = await readFeedback({
    host: 'localhost',
    port: gateway.feedbackPort,
    ca: gateway.ca,
    credential: gateway.identity,
    onTuples: async (tuples) => void given.push(...tuples),
    ...more,
  });
  return {
    ...end,
    given: given.map(({ token, timestamp }) => ({
      token: Buffer.from(token).toString('hex'),
      time: timestamp,
    })),
  };
}

const fault = (gateway: Gateway, action: object) =>
  gateway.control.faults({ rules: [{ on: 'feedback', action }] });

test('reads what the service has, until it closes', async ({ gateway }) => {
  expect(await read(gateway)).toMatchObject({ result: 'complete', tuples: 0, given: [] });
  await gateway.control.feedback(tuplesOf(2_500));
  const first = await read(gateway, { chunkTuples: 1_000 });
  expect(first).toMatchObject({ result: 'complete', tuples: 2_500 });
  expect(first.given).toEqual(tuplesOf(2_500));
  expect(await read(gateway)).toMatchObject({ result: 'complete', tuples: 0 });
});

test('the service waits while tuples are being stored, and none is lost', async ({ gateway }) => {
  for (let seed = 1; seed <= 6; seed++) await gateway.control.feedback(tuplesOf(25_000, seed));
  let largest = 0;
  let count = 0;
  const end = await read(gateway, {
    onTuples: async (tuples) => {
      largest = Math.max(largest, tuples.length);
      count += tuples.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  });
  expect(end).toMatchObject({ result: 'complete', tuples: 150_000 });
  expect(count).toBe(150_000);
  expect(largest).toBeLessThanOrEqual(10_000);
});

test.for([
  ['cut within a tuple', { kind: 'cut', afterBytes: 3 * tupleLength + 5 }, 'truncated', 5],
  ['cut between tuples', { kind: 'cut', afterBytes: 3 * tupleLength }, 'complete', 0],
  ['silent within a tuple', { kind: 'hang', afterBytes: 3 * tupleLength + 1 }, 'timed-out', 1],
  ['silent from the beginning', { kind: 'hang' }, 'timed-out', 0],
  ['closed at once', { kind: 'close' }, 'complete', 0],
  ['split into single bytes', { kind: 'slice', bytes: 1 }, 'complete', 0],
] as const)('%s', async ([, action, result, remainder], { gateway }) => {
  await gateway.control.feedback(tuplesOf(10));
  await fault(gateway, action);
  const end = await read(gateway, { silenceTimeoutMs: 500 });
  expect(end).toMatchObject({ result });
  expect(end.remainder).toHaveLength(remainder);
  expect(end.given).toEqual(tuplesOf(10).slice(0, end.tuples));
  if ('afterBytes' in action) expect(end.tuples).toBe(3);
});

test('what was read before the connection broke is given', async ({ gateway }) => {
  await gateway.control.feedback(tuplesOf(10));
  await gateway.control.faults({
    rules: [
      { on: 'feedback', action: { kind: 'slice', bytes: tupleLength, everyMs: 50 } },
      { on: 'feedback', action: { kind: 'reset', afterBytes: 3 * tupleLength + 7 } },
    ],
  });
  const end = await read(gateway);
  expect(end).toMatchObject({ result: 'broken' });
  expect(end.given).toEqual(tuplesOf(10).slice(0, end.tuples));
  expect(end.tuples).toBeGreaterThan(0);
});

test('also while the store is busy, and the connection is gone meanwhile', async ({ gateway }) => {
  await gateway.control.feedback(tuplesOf(2_000));
  await fault(gateway, { kind: 'reset', afterBytes: 2_000 * tupleLength });
  const stored = Promise.withResolvers<void>();
  let count = 0;
  const reading = read(gateway, {
    chunkTuples: 1,
    onTuples: async () => {
      count += 1;
      await stored.promise;
    },
  });
  await vi.waitFor(() => expect(count).toBe(1), 10_000);
  stored.resolve();
  const end = await reading;
  expect(['broken', 'complete']).toContain(end.result);
  expect(count).toBe(end.tuples);
});

test('a service that trickles has a limit', async ({ gateway }) => {
  await gateway.control.feedback(tuplesOf(1_000));
  await fault(gateway, { kind: 'slice', bytes: tupleLength, everyMs: 20 });
  const end = await read(gateway, { durationLimitMs: 1_000 });
  expect(end).toMatchObject({ result: 'timed-out', detail: 'not at the end after 1000 ms' });
  expect(end.given).toEqual(tuplesOf(1_000).slice(0, end.tuples));
});

test('a signal ends the reading; what has been read is given', async ({ gateway }) => {
  await gateway.control.feedback(tuplesOf(10));
  await fault(gateway, { kind: 'hang', afterBytes: 4 * tupleLength });
  const abort = new AbortController();
  const end = await read(gateway, {
    signal: abort.signal,
    onTuples: async () => abort.abort(),
  });
  expect(end).toMatchObject({ result: 'stopped' });
  expect(end.tuples).toBeGreaterThan(0);
  expect(await read(gateway, { signal: AbortSignal.abort() })).toMatchObject({
    result: 'stopped',
    tuples: 0,
  });
});

test('bytes that are no feedback end the reading, and are handed back', async ({ gateway }) => {
  const authority = await TestAuthority.create();
  const { certificatePem: cert, privateKeyPem: key } = await authority.issueServerCertificate();
  const [token] = generateTokens({ count: 1 });
  const bytes = Buffer.from(`6553f1000020${token}6553f1000065${'ab'.repeat(101)}`, 'hex');
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => undefined);
    socket.write(bytes);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const end = await read(gateway, { port, ca: authority.certificatePem });
  expect(end).toMatchObject({ result: 'broken', tuples: 1, given: [{ token, time }] });
  expect(end.detail).toMatch(/101 bytes/);
  expect(Buffer.from(end.remainder).toString('hex')).toBe(`6553f1000065${'ab'.repeat(101)}`);
});

test('a service that cannot be reached, is not the one, or does not want us: failed', async ({ gateway }) => {
  await fault(gateway, { kind: 'refuse' });
  expect(await read(gateway)).toMatchObject({ result: 'failed', tuples: 0 });
  await gateway.control.faults({ rules: [] });
  expect(await read(gateway, { port: 1 })).toMatchObject({ result: 'failed', detail: /ECONNREFUSED/ });
  expect(await read(gateway, { host: '127.0.0.1', serverName: 'gateway.example' })).toMatchObject({
    result: 'failed',
  });
  expect(await read(gateway, { credential: { cert: '', key: '' } })).toMatchObject({ result: 'failed' });
  const mute = createServer();
  onTestFinished(() => void mute.close());
  await once(mute.listen(0, '127.0.0.1'), 'listening');
  const { port } = mute.address() as AddressInfo;
  expect(await read(gateway, { host: '127.0.0.1', port, connectTimeoutMs: 200 })).toMatchObject({
    result: 'failed',
    detail: 'no connection within 200 ms',
  });
});

test('what the store rejects with comes out', async ({ gateway }) => {
  await gateway.control.feedback(tuplesOf(1));
  const failure = new Error('no room');
  await expect(read(gateway, { onTuples: () => Promise.reject(failure) })).rejects.toBe(failure);
});
