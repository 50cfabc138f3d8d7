import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { createPushQueue, liftPauses, pauseCauses } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import { type Rig, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const tokens = generateTokens({ count: 10_000, seed: 63 });

/** A worker's tracer, and the spans that have ended. */
function useTracer(sampler?: Sampler) {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    ...(sampler === undefined ? {} : { sampler }),
  });
  return { tracer: provider.getTracer('test'), ended: () => exporter.getFinishedSpans() };
}

/** A batch whose caller is followed. */
async function enqueue(rig: Rig, count: number): Promise<string> {
  const queue = createPushQueue({ redis: rig.redisUrl, prefix: rig.prefix, traceparent: () => caller });
  onTestFinished(() => queue.close());
  const { batchId } = await queue.enqueueTokens({
    app: 'shop',
    alert: 'x',
    tokens: Buffer.from(tokens.slice(0, count).join(''), 'hex'),
  });
  return batchId;
}

/** What the streams say beside the reports. */
async function reportedContexts(rig: Rig): Promise<(string | undefined)[]> {
  const entries = await rig.redis.xrange(`${rig.prefix}:{shop}:outcomes`, '-', '+');
  return entries.map(([, [, , name, value]]) => (name === 'traceparent' ? value : undefined));
}

function traceparentOf(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
}

test('a span ends with what became of the job, and the report carries it', async ({ rig }) => {
  const { tracer, ended } = useTracer();
  await rig.setFaults([{ on: 'binary', match: { token: tokens[1] }, action: { kind: 'reject', status: 8 } }]);
  const batch = await enqueue(rig, 3);
  await rig.openWorker([rig.app()], { tracer });
  await vi.waitFor(() => expect(ended()).toHaveLength(1), { timeout: 20_000 });
  const [span] = ended() as [ReadableSpan];
  expect(span.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
  expect(span.attributes).toMatchObject({
    'messaging.message.id': `${batch}-1`,
    'messaging.batch.message_count': 3,
    'pushfleet.result': 'settled',
    'pushfleet.left': 0,
    'pushfleet.rejected': 1,
    'pushfleet.dead': 0,
  });
  expect(await reportedContexts(rig)).toEqual([traceparentOf(span)]);
});

test('a job that nobody follows has no span, and neither has one where traces are off', async ({ rig }) => {
  const { tracer, ended } = useTracer();
  await rig.openWorker([rig.app()], { tracer });
  await rig.enqueue(tokens.slice(0, 3));
  await rig.settled();
  expect(ended()).toEqual([]);
  expect(await reportedContexts(rig)).toEqual([undefined]);
});

test('a span that is not sampled is not carried on', async ({ rig }) => {
  const { tracer } = useTracer(new AlwaysOffSampler());
  await enqueue(rig, 1);
  await rig.openWorker([rig.app()], { tracer });
  await rig.settled();
  expect(await reportedContexts(rig)).toEqual([undefined]);
});

test('a job with something dead, and one that is poisoned, are errors', async ({ rig }) => {
  const { tracer, ended } = useTracer();
  await rig.setFaults([{ on: 'binary', action: { kind: 'reject', status: 1 } }]);
  await enqueue(rig, 1);
  const poisoned = await enqueue(rig, 1);
  await rig.redis.hset(`${rig.prefix}:{shop}:transactional:${poisoned}-1`, 'data', '{');
  await rig.openWorker([rig.app({ attempts: 1 })], { tracer });
  await vi.waitFor(() => expect(ended()).toHaveLength(2), { timeout: 20_000 });
  const facts = ended().map(({ attributes, status }) => [
    attributes['pushfleet.result'],
    attributes['error.type'],
    status.code,
  ]);
  expect(facts.sort()).toEqual([
    ['poisoned', 'poisoned', 2],
    ['settled', 'dead', 2],
  ]);
  const contexts = await reportedContexts(rig);
  expect(contexts.sort()).toEqual(ended().map(traceparentOf).sort());
});

test('a job that another worker has taken meanwhile ends its span as lost', async ({ rig }) => {
  const { tracer, ended } = useTracer();
  const batch = await enqueue(rig, 1);
  await rig.openWorker([rig.app({ confirmAfterMs: 1_000 })], { tracer });
  const lock = `${rig.prefix}:{shop}:transactional:${batch}-1:lock`;
  await vi.waitFor(async () => expect(await rig.redis.set(lock, 'another', 'PX', 60_000, 'XX')).toBe('OK'), {
    timeout: 20_000,
    interval: 5,
  });
  await vi.waitFor(() => expect(ended()).toHaveLength(1), { timeout: 20_000 });
  expect(ended()[0]!.attributes).toMatchObject({ 'pushfleet.result': 'lost', 'error.type': 'lost' });
});

test('a job that is given back ends its span, and so does one that a stop puts off', async ({ rig }) => {
  const { tracer, ended } = useTracer();
  // Status 3: trouble with the credential, nothing is held against the notification.
  await rig.setFaults([{ on: 'binary', times: 1, action: { kind: 'reject', status: 3 } }]);
  await enqueue(rig, 1);
  const first = await rig.openWorker([rig.app()], { tracer });
  await vi.waitFor(() => expect(ended()).toHaveLength(1), { timeout: 20_000 });
  await first.stop(1_000);
  await liftPauses(rig, 'shop', pauseCauses);
  await rig.setFaults([{ on: 'binary', action: { kind: 'stopReading' } }]);
  const second = await rig.openWorker([rig.app({ confirmAfterMs: 60_000 })], { tracer });
  await vi.waitFor(async () => expect(await rig.active()).toBe(1), { timeout: 20_000 });
  await second.stop(300);
  const facts = ended().map(({ attributes }) => [
    attributes['pushfleet.result'],
    attributes['pushfleet.left'],
  ]);
  expect(facts).toEqual([
    ['given-back', 1],
    // Where the stop came before the connection was up, it was not handed over.
    [expect.stringMatching(/^(put-off|given-back)$/), 1],
  ]);
});
