import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  createPrivateFolder,
  generateTokens,
  openTraceCollector,
  type PostgresService,
  type PrivateFolder,
  providePostgres,
  provideRedis,
  type ReceivedSpan,
  type RedisService,
  type ServiceEnvironment,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  type TraceCollector,
  writeFleetFile,
} from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// Traces from the request to the outcome, through the services as processes (docs/decisions/0062-traces.md).

const deadline = { timeout: 30_000, interval: 50 };
// Longer than what is waited for within a test.
vi.setConfig({ testTimeout: 90_000 });
const tokens = generateTokens({ count: 60, seed: 62 });
let redis: RedisService;
let postgres: PostgresService;
let simulator: Simulator;
let collector: TraceCollector;
let folder: PrivateFolder;
let environment: ServiceEnvironment;
let fleet: {
  readonly producer: StartedService;
  readonly worker: StartedService;
  readonly sweeper: StartedService;
};

beforeAll(async () => {
  [redis, postgres, simulator, collector, folder] = await Promise.all([
    provideRedis(),
    providePostgres(),
    startSimulator(),
    openTraceCollector(),
    createPrivateFolder('traces'),
  ]);
  const configPath = await writeFleetFile(folder.path, {
    shop: simulatorApp(simulator, { transport: 'http2', attempts: 3 }),
  });
  environment = {
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    databaseUrl: postgres.url,
    configPath,
    env: collector.env,
  };
  const [producer, worker, sweeper] = await Promise.all([
    startService('producer', environment),
    startService('worker', environment),
    startService('sweeper', environment),
  ]);
  fleet = { producer, worker, sweeper };
  await vi.waitFor(
    async () => expect((await call('GET', '/v1/broadcasts?app=shop')).status).toBe(200),
    deadline,
  );
}, 120_000);
afterAll(async () => {
  await Promise.all(Object.values(fleet ?? {}).map((service) => service.kill()));
  await Promise.all([redis?.stop(), postgres?.stop(), simulator?.stop(), collector?.close()]);
  await folder?.remove();
}, 60_000);

interface Caller {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceparent: string;
}

function newCaller(flags = '01'): Caller {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
}

async function call(method: string, path: string, body?: object, traceparent?: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${fleet.producer.port}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function send(body: object, caller?: Caller): Promise<void> {
  const answer = await call('POST', '/v1/notifications', { app: 'shop', ...body }, caller?.traceparent);
  expect(answer.status).toBe(202);
}

function spansOf({ traceId }: { readonly traceId: string }): ReceivedSpan[] {
  return collector.spans.filter((span) => span.traceId === traceId);
}

/** Waits until a trace has so many spans of a name; gives them in the order in which they began. */
async function spansNamed(
  trace: { readonly traceId: string },
  name: string,
  count = 1,
): Promise<ReceivedSpan[]> {
  return vi.waitFor(() => {
    const found = spansOf(trace).filter((span) => span.name === name);
    expect(found, name).toHaveLength(count);
    return found.sort((one, other) => one.startMs - other.startMs);
  }, deadline);
}

test('one trace joins the caller, the request, its way into Redis, the push job and the report in Postgres', async () => {
  const caller = newCaller();
  await send({ token: tokens[0], alert: 'a payload' }, caller);
  const [report] = await spansNamed(caller, 'apply outcome report');
  const [[request], [enqueue], [job]] = await Promise.all([
    spansNamed(caller, 'POST /v1/notifications'),
    spansNamed(caller, 'enqueue shop/transactional'),
    spansNamed(caller, 'process shop/transactional'),
  ]);
  expect([request, enqueue, job, report].map((span) => span!.parentSpanId)).toEqual([
    caller.spanId,
    request!.spanId,
    enqueue!.spanId,
    job!.spanId,
  ]);
  expect(request).toMatchObject({
    service: 'pushfleet-producer',
    kind: 'server',
    attributes: { 'http.route': '/v1/notifications', 'http.response.status_code': 202 },
  });
  const batch = job!.attributes['pushfleet.batch'];
  expect(enqueue).toMatchObject({
    kind: 'producer',
    attributes: { 'messaging.message.id': `${batch}-1`, 'pushfleet.batch': batch },
  });
  expect(job).toMatchObject({
    service: 'pushfleet-worker',
    kind: 'consumer',
    isError: false,
    links: [],
    events: [{ name: 'first written' }],
    attributes: {
      'messaging.message.id': `${batch}-1`,
      'messaging.batch.message_count': 1,
      'pushfleet.app': 'shop',
      'pushfleet.lane': 'transactional',
      'pushfleet.transport': 'http2',
      'pushfleet.attempt': 1,
      'pushfleet.result': 'settled',
      'pushfleet.left': 0,
      'pushfleet.accepted.proved': 1,
      'pushfleet.rejected': 0,
    },
  });
  expect(report).toMatchObject({
    service: 'pushfleet-sweeper',
    kind: 'consumer',
    attributes: { 'pushfleet.job': `${batch}-1`, 'pushfleet.settled': 1 },
  });
  expect(spansOf(caller)).toHaveLength(4);
});

test('callers that share a push job are linked to it, each once, and those that are not sampled leave no trace', async () => {
  const callers = tokens.map(() => newCaller());
  const unsampled = newCaller('00');
  await Promise.all([
    ...callers.map((caller, place) => send({ token: tokens[place], alert: 'x' }, caller)),
    send({ token: tokens[0], alert: 'x' }, unsampled),
  ]);
  const sends = await Promise.all(callers.map((caller) => spansNamed(caller, 'enqueue shop/transactional')));
  const enqueues = new Set(sends.map(([span]) => span!.spanId));
  const followed = await vi.waitFor(() => {
    const jobs = collector.spans.filter(
      ({ name, parentSpanId, links }) =>
        name.startsWith('process') &&
        (enqueues.has(parentSpanId ?? '') || links.some(({ spanId }) => enqueues.has(spanId))),
    );
    const origins = jobs.flatMap(({ parentSpanId, links }) => [
      ...(parentSpanId === undefined ? [] : [parentSpanId]),
      ...links.map(({ spanId }) => spanId),
    ]);
    expect(origins.sort()).toEqual([...enqueues].sort());
    return jobs;
  }, deadline);
  const shared = followed.filter(({ links }) => links.length > 0);
  expect(shared.length).toBeGreaterThan(0);
  for (const job of shared) {
    expect(job.links.length).toBeGreaterThan(1);
    expect(job.parentSpanId).toBeUndefined();
    expect(job.attributes['messaging.batch.message_count']).toBeGreaterThanOrEqual(job.links.length);
    const [report] = await spansNamed(job, 'apply outcome report');
    expect(report!.parentSpanId).toBe(job.spanId);
  }
  expect(spansOf(unsampled)).toEqual([]);
});

test('each try of a push job is a span, and tells how it ended', async () => {
  const rejected = {
    on: 'http2',
    times: 1,
    match: { token: tokens[1] },
    action: { kind: 'respond', status: 500, reason: 'InternalServerError' },
  };
  await simulator.control.faults({ rules: [rejected] });
  const caller = newCaller();
  await send({ token: tokens[1], alert: 'x' }, caller);
  const jobs = await spansNamed(caller, 'process shop/transactional', 2);
  const [enqueue] = await spansNamed(caller, 'enqueue shop/transactional');
  expect(jobs.map(({ parentSpanId }) => parentSpanId)).toEqual([enqueue!.spanId, enqueue!.spanId]);
  expect(
    jobs.map(({ attributes }) => [attributes['pushfleet.result'], attributes['pushfleet.left']]),
  ).toEqual([
    ['put-off', 1],
    ['settled', 0],
  ]);
  expect(jobs.map(({ events }) => events.length)).toEqual([1, 0]);
  const [report] = await spansNamed(caller, 'apply outcome report');
  expect(report!.parentSpanId).toBe(jobs[1]!.spanId);
});

test('each chunk of a broadcast is a trace of its own that links to the request', async () => {
  const device = { app: 'shop', tags: ['all'] };
  for (const token of tokens.slice(0, 3))
    expect((await call('PUT', `/v1/devices/${token}`, device)).ok).toBe(true);
  const caller = newCaller();
  const broadcast = { app: 'shop', audience: { tags: 'all' }, alert: 'x' };
  expect((await call('POST', '/v1/broadcasts', broadcast, caller.traceparent)).status).toBe(202);
  const [request] = await spansNamed(caller, 'POST /v1/broadcasts');
  const chunk = await vi.waitFor(() => {
    const found = collector.spans.filter(({ name }) => name === 'broadcast chunk');
    expect(found).toHaveLength(1);
    return found[0]!;
  }, deadline);
  expect(chunk.parentSpanId).toBeUndefined();
  expect(chunk.links).toEqual([{ traceId: caller.traceId, spanId: request!.spanId }]);
  const [[enqueue], [job], [report]] = await Promise.all([
    spansNamed(chunk, 'enqueue shop/bulk'),
    spansNamed(chunk, 'process shop/bulk'),
    spansNamed(chunk, 'apply outcome report'),
  ]);
  expect([enqueue, job, report].map((span) => span!.parentSpanId)).toEqual([
    chunk.spanId,
    enqueue!.spanId,
    job!.spanId,
  ]);
  expect(job!.attributes['messaging.batch.message_count']).toBe(3);
});

test('what a caller did wrong ends its spans, the ones of our faults as errors', async () => {
  const caller = newCaller();
  const answer = await call(
    'POST',
    '/v1/notifications',
    { app: 'nobodys', token: tokens[0] },
    caller.traceparent,
  );
  expect(answer.status).toBe(404);
  const [[request], [enqueue]] = await Promise.all([
    spansNamed(caller, 'POST /v1/notifications'),
    spansNamed(caller, 'enqueue'),
  ]);
  expect(request).toMatchObject({ isError: false, attributes: { 'http.response.status_code': 404 } });
  expect(enqueue).toMatchObject({ isError: true, attributes: { 'error.type': 'unknown-app' } });
});

test('a header that is no trace context begins a trace, and a caller that goes away ends its span', async () => {
  const { port } = fleet.producer;
  const requestId = 'half-a-request';
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const head = [
    'POST /v1/notifications HTTP/1.1',
    'host: 127.0.0.1',
    'content-type: application/json',
    'content-length: 100',
  ];
  socket.write([...head, `x-request-id: ${requestId}`, 'traceparent: 00-x', '', '{"app":'].join('\r\n'));
  await vi.waitFor(async () => expect((await call('GET', '/v1/apps')).status).toBe(200), deadline);
  socket.destroy();
  const span = await vi.waitFor(() => {
    const found = collector.spans.find(({ attributes }) => attributes['pushfleet.request_id'] === requestId);
    expect(found).toBeDefined();
    return found!;
  }, deadline);
  expect(span).toMatchObject({
    name: 'POST /v1/notifications',
    parentSpanId: undefined,
    isError: false,
    attributes: { 'pushfleet.aborted': true },
  });
});

test('what is logged of a request names its trace', async () => {
  const databaseUrl = 'postgres://127.0.0.1:1/none';
  const producer = await startService('producer', { ...environment, databaseUrl });
  const caller = newCaller();
  const url = `http://127.0.0.1:${producer.port}/v1/devices/${tokens[0]}?app=shop`;
  expect((await fetch(url, { headers: { traceparent: caller.traceparent } })).status).toBe(503);
  const [request] = await spansNamed(caller, 'GET /v1/devices/:token');
  expect(request).toMatchObject({ isError: true, attributes: { 'error.type': '503' } });
  const refused = producer.process.lines.find(({ text }) => text.includes('request refused'));
  expect(JSON.parse(refused!.text)).toMatchObject({ trace_id: caller.traceId, span_id: request!.spanId });
  expect(await producer.stop()).toMatchObject({ code: 0 });
});

test('no span holds a token or anything of a payload', () => {
  const text = JSON.stringify(collector.spans);
  expect(tokens.filter((token) => text.includes(token))).toEqual([]);
  expect(text).not.toContain('a payload');
});

test('without a collector everything is sent all the same, and a stop ends with 0', async () => {
  await collector.close();
  const before = await simulator.control.ledger();
  await Promise.all(tokens.map((token) => send({ token, alert: 'x' }, newCaller())));
  await vi.waitFor(async () => {
    expect((await simulator.control.ledger()).received).toBe(before.received + tokens.length);
  }, deadline);
  const { producer, worker, sweeper } = fleet;
  const exits = await Promise.all([producer.stop(), worker.stop(), sweeper.stop()]);
  expect(exits.map(({ code }) => code)).toEqual([0, 0, 0]);
});
