import { cleanText } from './clean-text.ts';
import { loggedError } from './logged-error.ts';

/** A safety net: nothing of this is to be logged in the first place. */
const secretNames: ReadonlySet<string> = new Set([
  'args',
  'authorization',
  'command',
  'databaseUrl',
  'headers',
  'key',
  'parameters',
  'passphrase',
  'password',
  'payload',
  'payloads',
  'raw',
  'redisUrl',
  'secret',
  'token',
  'tokens',
]);

/** Ids of traces look like secrets. */
const plainNames: ReadonlySet<string> = new Set(['trace_id', 'span_id']);

const maxDepth = 4;
const maxEntries = 50;

/** The fields of a log line, as they may be written: errors by their closed list, texts without secrets, bounded. */
export function cleanFields(fields: object): Record<string, unknown> {
  return cleanObject(fields, 0);
}

function cleanObject(value: object, depth: number): Record<string, unknown> {
  if (value instanceof Error) return { err: loggedError(value) };
  const clean: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(value).slice(0, maxEntries)) {
    if (secretNames.has(name) && each !== undefined) clean[name] = '[redacted]';
    else clean[name] = plainNames.has(name) ? each : cleanValue(each, depth + 1);
  }
  return clean;
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (value instanceof Error) return loggedError(value);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= maxDepth) return '[…]';
  if (Array.isArray(value)) return value.slice(0, maxEntries).map((each) => cleanValue(each, depth + 1));
  return cleanObject(value, depth);
}
