import { access, constants } from 'node:fs/promises';
import { z } from 'zod';
import type { ConfigProblem } from '../config-error.ts';
import { parseWith } from '../schema-problems.ts';
import { readSecret } from '../settings/read-variables.ts';

// OpenTelemetry's own variables. The SDK would warn of what it cannot read and go on with something else; here it is a
// problem of the configuration like any other. What the exporter reads by itself (endpoint, compression, certificates)
// is only checked.

export interface TracingConfig {
  readonly sampler: {
    /** Whether a caller's decision counts before the ratio. */
    readonly looksAtParent: boolean;
    readonly ratio: number;
  };
  /** For the exporter, beside what it reads itself; a secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly batch: {
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
  };
}

const samplers = ['always_on', 'always_off', 'traceidratio'] as const;
const samplerNames = [...samplers, ...samplers.map((name) => `parentbased_${name}` as const)];

const url = z.string().refine((text) => /^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : ''), {
  error: 'must be a URL that begins with http:// or https://',
});
const protocol = z.literal('http/protobuf');
const compression = z.enum(['gzip', 'none']);
const positive = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'must be a whole number from 1')
  .transform(Number);
const ratio = z
  .string()
  .transform(Number)
  .refine((value) => value >= 0 && value <= 1, 'must be a number from 0 to 1');

const switchSchema = z.object({
  OTEL_SDK_DISABLED: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['true', 'false']))
    .optional(),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).optional(),
});
const schema = z.object({
  OTEL_EXPORTER_OTLP_ENDPOINT: url.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url.optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol.optional(),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol.optional(),
  OTEL_EXPORTER_OTLP_COMPRESSION: compression.optional(),
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: compression.optional(),
  OTEL_EXPORTER_OTLP_TIMEOUT: positive.optional(),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: positive.optional(),
  OTEL_TRACES_SAMPLER: z.enum(samplerNames).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: ratio.default(1),
  OTEL_BSP_SCHEDULE_DELAY: positive.default(5_000),
  OTEL_BSP_EXPORT_TIMEOUT: positive.default(30_000),
  OTEL_BSP_MAX_QUEUE_SIZE: positive.default(2_048),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: positive.default(512),
});
const files = ['CERTIFICATE', 'CLIENT_CERTIFICATE', 'CLIENT_KEY'].flatMap((name) => [
  `OTEL_EXPORTER_OTLP_${name}`,
  `OTEL_EXPORTER_OTLP_TRACES_${name}`,
]);

/** Returns what is wrong, or else the configuration; undefined: traces are off. */
export async function readTracingEnvironment(
  env: NodeJS.ProcessEnv,
): Promise<{ readonly config?: TracingConfig; readonly problems: readonly ConfigProblem[] }> {
  // Empty means unset, as OpenTelemetry has it.
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name.startsWith('OTEL_') && value?.trim()),
  );
  const switches = parseWith(switchSchema, given);
  if (switches.value === undefined) return { problems: switches.problems };
  if (!isOn(switches.value, given)) return { problems: [] };
  const { value, problems } = parseWith(schema, given);
  const headers = await readHeaders(given);
  const all = [...problems, ...(await unreadable(given)), ...headers.problems];
  if (value === undefined || all.length > 0) return { problems: all };
  const sampler = value.OTEL_TRACES_SAMPLER;
  return {
    config: {
      sampler: {
        looksAtParent: sampler.startsWith('parentbased_'),
        ratio: ratioOf(sampler, value.OTEL_TRACES_SAMPLER_ARG),
      },
      headers: headers.values,
      batch: {
        scheduledDelayMillis: value.OTEL_BSP_SCHEDULE_DELAY,
        exportTimeoutMillis: value.OTEL_BSP_EXPORT_TIMEOUT,
        maxQueueSize: value.OTEL_BSP_MAX_QUEUE_SIZE,
        maxExportBatchSize: value.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
      },
    },
    problems: [],
  };
}

function isOn(switches: z.infer<typeof switchSchema>, given: NodeJS.ProcessEnv): boolean {
  if (switches.OTEL_SDK_DISABLED === 'true' || switches.OTEL_TRACES_EXPORTER === 'none') return false;
  return [
    switches.OTEL_TRACES_EXPORTER,
    given.OTEL_EXPORTER_OTLP_ENDPOINT,
    given.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
  ].some((set) => set !== undefined);
}

function ratioOf(sampler: (typeof samplerNames)[number], given: number): number {
  if (sampler.endsWith('always_on')) return 1;
  return sampler.endsWith('always_off') ? 0 : given;
}

/** They hold keys of the collector: they may come from a file, as other secrets do. */
async function readHeaders(env: NodeJS.ProcessEnv): Promise<{
  readonly values: Readonly<Record<string, string>>;
  readonly problems: readonly ConfigProblem[];
}> {
  const name = 'OTEL_EXPORTER_OTLP_HEADERS';
  if (env[name] === undefined && env[`${name}_FILE`] === undefined) return { values: {}, problems: [] };
  const read = await readSecret(env, name);
  if (typeof read !== 'string') return { values: {}, problems: [read] };
  const values = parseHeaders(read);
  if (values !== undefined) return { values, problems: [] };
  const message = 'must be a list such as key=value,key2=value2, its values URL-encoded';
  return { values: {}, problems: [{ field: name, message }] };
}

function parseHeaders(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) return undefined;
    try {
      headers[name] = decodeURIComponent(value);
    } catch {
      return undefined;
    }
  }
  return headers;
}

async function unreadable(env: NodeJS.ProcessEnv): Promise<ConfigProblem[]> {
  const problems = await Promise.all(
    files.map(async (field): Promise<ConfigProblem | undefined> => {
      const path = env[field];
      if (path === undefined) return undefined;
      return access(path, constants.R_OK).then(
        () => undefined,
        () => ({ field, message: `names a file that cannot be read: ${path}` }),
      );
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}
