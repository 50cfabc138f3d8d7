import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { AlwaysOffSampler, ParentBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import { openTraceCollector, runProcess, startProcess, type TraceCollector } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { contextOf, linkTo, traceparentOf } from '../src/index.ts';
import { sampledLinksFirst } from '../src/tracing/sampled-links.ts';

const entry = new URL('./fixtures/service.ts', import.meta.url);
const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-kit-'));
  await writeFile(join(folder, 'shop.p12'), '');
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    'apps: { shop: { topic: t, environment: sandbox, transport: binary, credential: { p12: shop.p12 } } }',
  );
});
afterAll(async () => rm(folder, { recursive: true }));

function environment(more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    REDIS_URL: 'redis://localhost',
    PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
    BEHAVIOUR: 'traces',
    ...more,
  };
}

async function useCollector(): Promise<TraceCollector> {
  const collector = await openTraceCollector();
  onTestFinished(() => collector.close());
  return collector;
}

function linesOf(process: { readonly lines: readonly { readonly text: string }[] }) {
  return process.lines.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
}

test('spans go to the collector, those that end with the stop among them, and lines within a span name it', async () => {
  const collector = await useCollector();
  const headersFile = join(folder, 'headers');
  await writeFile(headersFile, 'x-key=a%20secret');
  const { process, stop } = await startProcess({
    entry,
    env: environment({
      ...collector.env,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_HEADERS_FILE: headersFile,
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    }),
  });
  await vi.waitFor(() => expect(collector.spans.map(({ name }) => name)).toContain('start'), 20_000);
  expect(collector.requests[0]?.['x-key']).toBe('a secret');
  expect(await stop()).toMatchObject({ code: 0 });
  expect(collector.spans.map(({ name }) => name)).toContain('until the end');
  const start = collector.spans.find(({ name }) => name === 'start')!;
  expect(start).toMatchObject({ service: 'pushfleet-worker', kind: 'internal', parentSpanId: undefined });
  const lines = linesOf(process);
  expect(lines.find(({ msg }) => msg === 'within a span')).toMatchObject({
    trace_id: start.traceId,
    span_id: start.spanId,
  });
  expect(lines.find(({ msg }) => msg === 'ready')).not.toHaveProperty('trace_id');
});

test('without its variables nothing of the SDK is loaded, and with them it is', async () => {
  const execArgv = ['--import', fileURLToPath(new URL('./fixtures/refuse-sdk.ts', import.meta.url))];
  const { stop } = await startProcess({ entry, execArgv, env: environment({}) });
  expect(await stop()).toMatchObject({ code: 0 });
  const { url } = await useCollector();
  const on = await runProcess({ entry, execArgv, env: environment({ OTEL_EXPORTER_OTLP_ENDPOINT: url }) });
  expect(on).toMatchObject({ code: 1 });
  expect(on.stderr).toContain('@opentelemetry/context-async-hooks is not to be loaded');
});

test('a collector that refuses is told once, and once more when it takes spans again', async () => {
  const collector = await useCollector();
  collector.answerWith(400);
  const { process, stop } = await startProcess({ entry, env: environment(collector.env) });
  const told = (text: string) =>
    process.waitForLine((line) => (line.text.includes(text) ? true : undefined), {
      what: `did not say: ${text}`,
      timeoutMs: 20_000,
    });
  await told('traces cannot be exported');
  const { length } = collector.requests;
  await vi.waitFor(() => expect(collector.requests.length).toBeGreaterThan(length + 2), 20_000);
  collector.answerWith(200);
  await told('traces are exported again');
  await stop();
  const lines = linesOf(process);
  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  expect(lines.find(({ msg }) => msg === 'traces are exported again')!.dropped).toBeGreaterThan(1);
});

test.each([
  ['is away', 'http://127.0.0.1:1'],
  ['says nothing', undefined],
])('with a collector that %s a stop ends in time with 0', async (_, endpoint) => {
  const silent = await openSilentServer();
  const { process, stop } = await startProcess({
    entry,
    env: environment({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint ?? silent, OTEL_BSP_SCHEDULE_DELAY: '50' }),
  });
  expect(await stop()).toMatchObject({ code: 0 });
  const messages = linesOf(process).map(({ msg }) => msg);
  expect(messages.at(-1)).toBe('stopped');
  expect(messages).toContain('the last traces could not be exported');
});

test('what links to a sampled span is sampled, and the rest is left to the ratio', () => {
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: sampledLinksFirst(new AlwaysOffSampler()) }),
  });
  const tracer = provider.getTracer('test');
  const start = (links: string[], context = ROOT_CONTEXT) =>
    traceparentOf(tracer.startSpan('x', { links: links.map(linkTo) }, context));
  const unsampled = sampled.replace(/01$/, '00');
  expect(start([])).toBeUndefined();
  expect(start([unsampled])).toBeUndefined();
  expect(start([unsampled, sampled])).toMatch(
    /^00-(?!0af7651916cd43dd8448eb211c80319c)[0-9a-f]{32}-[0-9a-f]{16}-01$/,
  );
  expect(start([], contextOf(sampled))).toMatch(
    /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/,
  );
  expect(start([], contextOf(unsampled))).toBeUndefined();
});

/** Takes requests and never answers. */
async function openSilentServer(): Promise<string> {
  const { createServer } = await import('node:net');
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}
