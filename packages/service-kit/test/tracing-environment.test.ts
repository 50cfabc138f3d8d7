import { expect, test } from 'vitest';
import { readTracingEnvironment } from '../src/index.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

test.each<[string, NodeJS.ProcessEnv]>([
  ['nothing is set', {}],
  ['only what goes with it is set', { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'nonsense' }],
  ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ['the exporter is none', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' }],
  ['the SDK is disabled', { ...endpoint, OTEL_SDK_DISABLED: 'True' }],
])('traces are off when %s', async (_, env) => {
  expect(await readTracingEnvironment(env)).toEqual({ problems: [] });
});

test.each<[NodeJS.ProcessEnv]>([
  [endpoint],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/v1/traces' }],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }],
])('traces are on with %o, and all of them are kept', async (env) => {
  expect(await readTracingEnvironment(env)).toEqual({
    config: {
      sampler: { looksAtParent: true, ratio: 1 },
      headers: {},
      batch: {
        scheduledDelayMillis: 5_000,
        exportTimeoutMillis: 30_000,
        maxQueueSize: 2_048,
        maxExportBatchSize: 512,
      },
    },
    problems: [],
  });
});

test.each([
  ['always_on', '0.3', { looksAtParent: false, ratio: 1 }],
  ['always_off', '', { looksAtParent: false, ratio: 0 }],
  ['traceidratio', '0.25', { looksAtParent: false, ratio: 0.25 }],
  ['parentbased_traceidratio', '1e-3', { looksAtParent: true, ratio: 0.001 }],
  ['parentbased_always_off', '', { looksAtParent: true, ratio: 0 }],
])('the sampler %s with %s is read', async (sampler, ratio, expected) => {
  const env = { ...endpoint, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio };
  expect((await readTracingEnvironment(env)).config?.sampler).toEqual(expected);
});

test.each<[string, string, string]>([
  ['OTEL_TRACES_EXPORTER', 'console', 'must be otlp or none'],
  ['OTEL_SDK_DISABLED', 'yes', 'must be true or false'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'must be a URL that begins with http:// or https://'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'nowhere', 'must be a URL that begins with http:// or https://'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'must be http/protobuf'],
  ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json', 'must be http/protobuf'],
  ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', 'must be gzip or none'],
  ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s', 'must be a whole number from 1'],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    'x-key',
    'must be a list such as key=value,key2=value2, its values URL-encoded',
  ],
  [
    'OTEL_EXPORTER_OTLP_HEADERS',
    'x-key=%zz',
    'must be a list such as key=value,key2=value2, its values URL-encoded',
  ],
  [
    'OTEL_EXPORTER_OTLP_HEADERS_FILE',
    '/gone',
    `cannot be read: ENOENT: no such file or directory, open '/gone'`,
  ],
  ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/gone', 'names a file that cannot be read: /gone'],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'must be a number from 0 to 1'],
  ['OTEL_TRACES_SAMPLER_ARG', 'half', 'must be a number from 0 to 1'],
  ['OTEL_BSP_SCHEDULE_DELAY', '0', 'must be a whole number from 1'],
])('%s=%s is a problem', async (field, value, message) => {
  expect(await readTracingEnvironment({ ...endpoint, [field]: value })).toEqual({
    problems: [{ field, message }],
  });
});

test('a sampler that does not exist is a problem that names those that do', async () => {
  const { problems } = await readTracingEnvironment({ ...endpoint, OTEL_TRACES_SAMPLER: 'jaeger_remote' });
  expect(problems).toEqual([
    {
      field: 'OTEL_TRACES_SAMPLER',
      message: expect.stringMatching(/^must be always_on or .*parentbased_traceidratio/),
    },
  ]);
});
