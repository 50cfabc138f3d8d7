import { FeedbackDecoder } from '@pushfleet/apns-wire';
import { afterAll, describe, expect, vi } from 'vitest';
import type { FaultsBody } from '../src/faults/fault-schema.ts';
import type { GatewayClient, GatewayEnd } from './gateway-client.ts';
import { removeCertificates, type TestSimulator, test, tokenOf } from './simulator-test.ts';

afterAll(removeCertificates);

/** Of one tuple with a token of 32 bytes. */
const tupleLength = 4 + 2 + 32;

const tuplesOf = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => ({
    token: tokenOf(first + index).toString('hex'),
    time: 1_700_000_000 + first + index,
  }));

const dialFeedback = (simulator: TestSimulator): GatewayClient =>
  simulator.dial({ port: simulator.feedbackPort });

function decode({ bytes }: GatewayEnd) {
  const decoder = new FeedbackDecoder();
  decoder.push(bytes);
  const tuples = [];
  for (let tuple = decoder.next(); tuple !== undefined; tuple = decoder.next()) {
    tuples.push({ token: Buffer.from(tuple.token).toString('hex'), time: tuple.timestamp });
  }
  return { tuples, rest: decoder.remainder.length };
}

/** Reads until the service closes. */
const read = async (simulator: TestSimulator) => decode(await dialFeedback(simulator).ended);

test('the tuples are sent on connect, then the service closes; reading clears them', async ({
  simulator,
}) => {
  await simulator.control.feedback(tuplesOf(1, 3));
  expect(await simulator.get('/feedback')).toEqual({ waiting: 3 });
  const end = await dialFeedback(simulator).ended;
  expect(end.bytes.subarray(0, tupleLength).toString('hex')).toBe(
    // 1,700,000,001 · 32 · token
    `6553f101${'0020'}${tokenOf(1).toString('hex')}`,
  );
  expect(decode(end)).toEqual({ tuples: tuplesOf(1, 3), rest: 0 });
  expect(end.error).toBeUndefined();
  expect(await simulator.get('/feedback')).toEqual({ waiting: 0 });
  expect(await read(simulator)).toEqual({ tuples: [], rest: 0 });
});

test('of several readers at once each tuple reaches one', async ({ simulator }) => {
  await simulator.control.feedback(tuplesOf(1, 1_000));
  const reads = await Promise.all(Array.from({ length: 5 }, async () => read(simulator)));
  expect(reads.flatMap(({ tuples }) => tuples)).toEqual(tuplesOf(1, 1_000));
});

test('tuples for one app are for that app alone', async ({ simulator }) => {
  const identity = await simulator.issue('news', 'com.example.news');
  await simulator.control.feedback({ app: 'com.example.news', tuples: tuplesOf(1, 2) });
  expect((await read(simulator)).tuples).toEqual([]);
  const news = simulator.dial({ port: simulator.feedbackPort, identity });
  expect(decode(await news.ended).tuples).toEqual(tuplesOf(1, 2));
});

test('a hundred thousand tuples arrive whole', async ({ simulator }) => {
  for (let at = 0; at < 100_000; at += 25_000) {
    await simulator.control.feedback(tuplesOf(at + 1, at + 25_000));
  }
  const { tuples, rest } = await read(simulator);
  expect(rest).toBe(0);
  expect(tuples).toEqual(tuplesOf(1, 100_000));
});

test('a client without a certificate gets nothing, and takes nothing away', async ({ simulator }) => {
  await simulator.control.feedback(tuplesOf(1, 1));
  const end = await simulator.dial({ port: simulator.feedbackPort, identity: undefined }).ended;
  expect(end.bytes).toHaveLength(0);
  expect(await simulator.get('/feedback')).toEqual({ waiting: 1 });
});

describe('by rule', () => {
  type Action = Extract<FaultsBody['rules'][number], { on: 'feedback' }>['action'];
  const once = async (simulator: TestSimulator, action: Action): Promise<void> =>
    simulator.setFaults([{ on: 'feedback', times: 1, action }]);

  test('the stream is cut at any byte: what was begun is gone, the rest waits for the next', async ({
    simulator,
  }) => {
    for (let afterBytes = 0; afterBytes <= 3 * tupleLength; afterBytes += 1) {
      await simulator.control.feedback(tuplesOf(1, 3));
      await once(simulator, { kind: 'cut', afterBytes });
      const begun = Math.ceil(afterBytes / tupleLength);
      expect(await read(simulator), `cut after ${afterBytes}`).toEqual({
        tuples: tuplesOf(1, Math.floor(afterBytes / tupleLength)),
        rest: afterBytes % tupleLength,
      });
      expect((await read(simulator)).tuples, `after the cut at ${afterBytes}`).toEqual(
        tuplesOf(begun + 1, 3),
      );
    }
  });

  test('the bytes come in slices', async ({ simulator }) => {
    await simulator.control.feedback(tuplesOf(1, 2));
    await once(simulator, { kind: 'slice', bytes: 7 });
    const end = await dialFeedback(simulator).ended;
    expect(decode(end).tuples).toEqual(tuplesOf(1, 2));
    expect(end.chunks).toEqual([...Array.from({ length: 10 }, () => 7), 6]);
  });

  test('the service hangs after so many bytes, until the reader has had enough', async ({ simulator }) => {
    await simulator.control.feedback(tuplesOf(1, 2));
    await once(simulator, { kind: 'hang', afterBytes: tupleLength });
    const reader = dialFeedback(simulator);
    await vi.waitFor(() => expect(reader.received).toHaveLength(tupleLength));
    expect(reader.socket.closed).toBe(false);
    expect(decode(await reader.close()).tuples).toEqual(tuplesOf(1, 1));
    expect((await read(simulator)).tuples).toEqual(tuplesOf(2, 2));
  });

  test('it closes at once and keeps all', async ({ simulator }) => {
    await simulator.control.feedback(tuplesOf(1, 2));
    await once(simulator, { kind: 'close' });
    expect((await dialFeedback(simulator).ended).bytes).toHaveLength(0);
    expect((await read(simulator)).tuples).toEqual(tuplesOf(1, 2));
  });

  test('it resets the connection', async ({ simulator }) => {
    await simulator.control.feedback(tuplesOf(1, 2));
    await once(simulator, { kind: 'reset' });
    expect((await dialFeedback(simulator).ended).error).toBe('ECONNRESET');
    expect((await read(simulator)).tuples).toEqual(tuplesOf(1, 2));
  });

  test('it refuses connections', async ({ simulator }) => {
    await once(simulator, { kind: 'refuse' });
    expect((await dialFeedback(simulator).ended).error).toBe('ECONNRESET');
    expect((await dialFeedback(simulator).ended).error).toBeUndefined();
  });
});
