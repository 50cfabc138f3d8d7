import { generateTokens } from '@pushfleet/testkit';
import { expect, test } from 'vitest';
import { maxTraceparents, parseTraceparents } from '../src/traceparent.ts';
import { probeQueue, type QueueProbe } from './queue-probe.ts';

const [token = ''] = generateTokens({ count: 1 });
const send = { app: 'shop', token, alert: 'x' };

/** What the options of each push job say of its callers, as they lie in Redis. */
async function stored({ redis, prefix }: QueueProbe): Promise<unknown[]> {
  const ids = [
    ...(await redis.lrange(`${prefix}:{shop}:transactional:wait`, 0, -1)),
    ...(await redis.zrange(`${prefix}:{shop}:transactional:delayed`, '0', '-1')),
  ];
  const options = await Promise.all(
    ids.map((id) => redis.hget(`${prefix}:{shop}:transactional:${id}`, 'opts')),
  );
  return options.map((text) => {
    const { tm } = JSON.parse(text!) as { tm?: string };
    return tm === undefined ? undefined : (JSON.parse(tm) as unknown);
  });
}

function traceparent(number: number, flags = '01'): string {
  return `00-${number.toString(16).padStart(32, '0')}-${number.toString(16).padStart(16, '0')}-${flags}`;
}

test('without an option for it, push jobs carry no trace context', async () => {
  const probe = probeQueue();
  await probe.queue.enqueue(send);
  expect(await stored(probe)).toEqual([undefined]);
});

test('a caller that is alone stands there as bullmq-otel writes it', async () => {
  const probe = probeQueue({ traceparent: () => traceparent(7) });
  await probe.queue.enqueue(send);
  expect(await stored(probe)).toEqual([{ traceparent: traceparent(7) }]);
});

test('callers whose sends share a push job all stand there, each once', async () => {
  let calls = 0;
  const probe = probeQueue({ traceparent: () => traceparent(1 + (calls++ % 3)) });
  await Promise.all(Array.from({ length: 30 }, () => probe.queue.enqueue(send)));
  expect(await stored(probe)).toEqual([{ traceparents: [1, 2, 3].map((number) => traceparent(number)) }]);
});

test('a push job names no more callers than a span links to', async () => {
  let calls = 0;
  const probe = probeQueue({ traceparent: () => traceparent(++calls) });
  await Promise.all(Array.from({ length: 500 }, () => probe.queue.enqueue(send)));
  const [job] = (await stored(probe)) as [{ traceparents: string[] }];
  expect(job.traceparents).toHaveLength(maxTraceparents);
});

test.each([
  ['not sampled', traceparent(7, '00')],
  ['of a trace that is none', traceparent(0)],
  ['of another version', traceparent(7).replace(/^00/, '01')],
  ['no trace context', 'x'],
  ['missing', undefined],
])('a context that is %s is not carried', async (_, given) => {
  const probe = probeQueue({ traceparent: () => given });
  await probe.queue.enqueue(send);
  await probe.queue.enqueueBatch({ app: 'shop', notifications: [{ token, alert: 'x' }] });
  expect(await stored(probe)).toEqual([undefined, undefined]);
});

test('every push job of a batch carries it, also one that is scheduled or has an idempotency key', async () => {
  const probe = probeQueue({ traceparent: () => traceparent(7) });
  const tokens = Buffer.concat(Array.from({ length: 2_500 }, () => Buffer.from(token, 'hex')));
  await probe.queue.enqueueTokens({ app: 'shop', alert: 'x', tokens });
  await probe.queue.enqueue({ ...send, idempotencyKey: 'once' });
  await probe.queue.enqueue({ ...send, sendAt: new Date(Date.now() + 3_600_000) });
  expect(await stored(probe)).toEqual(Array.from({ length: 5 }, () => ({ traceparent: traceparent(7) })));
});

test.each([
  ['{"traceparent":"00-x"}', []],
  ['{"traceparents":[1,null,{}]}', []],
  ['[]', []],
  ['null', []],
  ['no JSON', []],
  [JSON.stringify({ traceparent: traceparent(7), tracestate: 'a=b' }), [traceparent(7)]],
])('of %s what can be read is read', (text, expected) => {
  expect(parseTraceparents(text)).toEqual(expected);
});
