import { z } from 'zod';
import { bytesSchema } from '../bytes.ts';
import { appSchema, credentialKinds } from '../config.ts';
import { durationSchema } from '../duration.ts';

// What docs/settings.md says of pushfleet.yaml: the settings, their forms and their defaults come from the schemas, and a
// sentence on each from here.

/** One setting of an app, by its path below `apps.<id>`. */
export interface AppSetting {
  readonly path: string;
  /** What may stand there, in Markdown. */
  readonly form: string;
  /** As it would be written; undefined: nothing, or it is required. */
  readonly byDefault: string | undefined;
  readonly isRequired: boolean;
  readonly what: string;
}

const sentences: Readonly<Record<string, string>> = {
  topic: 'Bundle id of the app.',
  environment: "Which of Apple's.",
  transport: '`binary` for private gateways and bridges, `http2` for what Apple answers today.',
  'gateway.host': "Apple's by default.",
  'gateway.port': '',
  'gateway.ca':
    'File with authorities, PEM or DER, read anew for each connection; those of Node.js and of the system by default.',
  'feedback.host':
    "Binary only. Apple's by default; beside a gateway of your own none, unless `feedback` is named.",
  'feedback.port': '2196 by default.',
  'feedback.interval': 'Between two readings.',
  'credential.p12': 'A certificate with its key: [credentials.md](credentials.md).',
  'credential.cert': 'A certificate, PEM or DER.',
  'credential.key': 'Its key; absent: in the same file.',
  'credential.passphraseFile': 'File with the passphrase of `p12` or `key`.',
  'credential.passphraseEnv': 'Variable with the passphrase, in place of `passphraseFile`.',
  'credential.p8': 'A provider key, for http2.',
  'credential.keyId': 'Of the provider key: 10 characters.',
  'credential.teamId': 'Of the provider key: 10 characters.',
  'proxy.host': 'An HTTP proxy that makes tunnels; http2 only.',
  'proxy.port': '',
  'proxy.credentialFile': 'Holds `user:password`; read anew for each connection.',
  commandVersion: 'Binary only.',
  connections:
    'Of one worker, at most; of two or more, one is for the transactional lane alone. On http2 as many are opened as [what waits needs](operations.md#rates-at-a-distance), 32 by default. On binary 2 by default; jobs with many bad tokens [may have as many more](decisions/0015-suspects.md) for a while.',
  leastConnections:
    'http2 only: connections of each lane that are opened with its first work, and kept while there are any.',
  onUncertain: '[What becomes of the uncertain](delivery.md#choosing-onuncertain).',
  confirm: 'Binary only: [when silence is acceptance](delivery.md#choosing-confirm).',
  confirmAfter: 'Binary only: silence for so long after the write is acceptance, presumed.',
  window:
    'Notifications in flight per connection, at most: 1,000,000 on binary (written and not settled), 20,000 on http2 (not answered) by default. A full window stops the taking of jobs.',
  streams:
    'http2 only: requests that wait for their answers on one connection, at most. The gateway says how many it takes; the lower number counts.',
  rate: 'Notifications per second that one worker sends of each lane, at most ([how it is kept](operations.md#a-rate-for-an-app)); absent: as many as the gateway takes.',
  attempts:
    'Tries of a notification that the gateway answers with trouble which [may be its own](delivery.md#tries-and-time), before it is `dead`.',
  retryFor:
    'How long a notification is tried again for [trouble that is not its own](delivery.md#tries-and-time), unless it expires before.',
  shutdownIdentifier:
    'Binary only: what the identifier of status 10 names; `first-unsent` for gateways that count otherwise.',
  connectsPerMinute: 'Binary only: attempts to connect, of one worker and lane.',
  'breaker.rate': 'Share of invalid tokens that pauses the app; 1: none does.',
  'breaker.minimum': 'Decided notifications in the window before the rate counts.',
  'breaker.window': '',
  'queue.maxNotifications':
    'Notifications that may wait in the queues of the app, those apart that were given a `sendAt` ([quotas](operations.md#quotas)); 20,000,000 by default.',
  'queue.maxBytes': "Bytes of their push jobs; 40 % of Redis' memory by default.",
  'queue.maxScheduledNotifications':
    'Notifications with a `sendAt` in the future; 0: nothing can be scheduled; 5,000,000 by default.',
  'queue.maxScheduledBytes': "Bytes of their push jobs; 20 % of Redis' memory by default.",
  'deadLetters.keepFor': 'How long [dead letters](runbook.md#dead-letters) are kept.',
  'deadLetters.maxBytes':
    'How much of their data is kept in Redis; the oldest go, and [it is told](runbook.md#dead-letters-trimmed).',
  'canary.token':
    'A device token of your own, used for nothing else: a silent push goes to it, so that the whole way is tried. [Alerts](runbook.md#canary-failing) tell when it does not arrive.',
  'canary.every': 'Between two of them.',
};

/** Every setting that the schemas know, in their order. A setting without a sentence has `what` empty. */
export function appSettings(): AppSetting[] {
  const credentials = new Map(Object.values(credentialKinds).flatMap((kind) => Object.entries(kind.shape)));
  return Object.entries(appSchema.shape).flatMap(([name, schema]) =>
    name === 'credential'
      ? [...credentials].map(([field, inner]) => describe(`credential.${field}`, inner as z.ZodType, false))
      : settingsOf(name, schema as z.ZodType, true),
  );
}

/** The paths that are described and no longer exist. */
export function strayDescriptions(): string[] {
  const paths = new Set(appSettings().map(({ path }) => path));
  return Object.keys(sentences).filter((path) => !paths.has(path));
}

/** @param isNeeded Whether what it is part of has to be there. */
function settingsOf(path: string, schema: z.ZodType, isNeeded: boolean): AppSetting[] {
  const { inner, isOptional } = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [describe(path, schema, isNeeded)];
  return Object.entries(inner.shape).flatMap(([name, field]) =>
    settingsOf(`${path}.${name}`, field as z.ZodType, isNeeded && !isOptional),
  );
}

function describe(path: string, schema: z.ZodType, isNeeded: boolean): AppSetting {
  const { inner, isOptional, byDefault } = unwrap(schema);
  return {
    path,
    form: formOf(inner),
    byDefault: byDefault === undefined ? undefined : written(inner, byDefault),
    isRequired: isNeeded && !isOptional && byDefault === undefined,
    what: sentences[path] ?? '',
  };
}

/** The schema within what makes it optional. `byDefault` is what it gives, not what would be written. */
function unwrap(schema: z.ZodType): { inner: z.ZodType; isOptional: boolean; byDefault?: unknown } {
  if (schema instanceof z.ZodOptional) return { inner: schema.unwrap() as z.ZodType, isOptional: true };
  if (schema instanceof z.ZodDefault) {
    return { inner: schema.unwrap() as z.ZodType, isOptional: true, byDefault: schema.def.defaultValue };
  }
  if (schema instanceof z.ZodPrefault) return { inner: schema.unwrap() as z.ZodType, isOptional: true };
  return { inner: schema, isOptional: false };
}

/** A schema with a check added is another object; what it reads is the same one. */
function readsLike(schema: z.ZodType, model: z.ZodType): boolean {
  return schema instanceof z.ZodPipe && model instanceof z.ZodPipe && schema.def.in === model.def.in;
}

function formOf(schema: z.ZodType): string {
  if (readsLike(schema, durationSchema)) return 'duration, such as `30s`, `10m`, `1h`';
  if (readsLike(schema, bytesSchema)) return 'size, such as `256MiB`';
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(' or ');
  if (schema instanceof z.ZodLiteral)
    return [...schema.values].map((value) => `\`${String(value)}\``).join(' or ');
  if (schema instanceof z.ZodNumber) {
    const { minValue, maxValue } = schema;
    const kind = schema.isInt ? 'whole number' : 'number';
    const isBounded =
      Number.isFinite(minValue) && Number.isFinite(maxValue) && maxValue !== Number.MAX_SAFE_INTEGER;
    return isBounded ? `${kind}, ${minValue} to ${maxValue}` : `${kind}, at least ${minValue}`;
  }
  return 'text';
}

const durations = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;
const sizes = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

function written(schema: z.ZodType, value: unknown): string {
  const units = readsLike(schema, durationSchema) ? durations : readsLike(schema, bytesSchema) ? sizes : [];
  const [unit, size] = units.find(([, each]) => (value as number) % each === 0) ?? [];
  return size === undefined ? String(value) : `${(value as number) / size}${unit}`;
}
