import { PushQueueError } from '../push-queue-error.ts';
import { runScript } from '../redis/scripts.ts';
import type { AppControlOptions } from './app-control.ts';

// What is changed in Redis is written down there before it is changed, and what came of it afterwards, on the way to the
// audit log in Postgres, which may be away. Producers take it there: docs/decisions/0074-rights-and-audit.md.

/** An entry of the audit log, as far as this package has to know it. */
export interface RecordedChange {
  readonly id: string;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly result: 'begun' | 'done' | 'failed';
}

/** What a change gave, and how things are after it, for the audit log. */
export interface Effect<T> {
  readonly value: T;
  readonly after: Readonly<Record<string, unknown>>;
}

/** An entry on its way. */
export interface OutboxEntry {
  readonly id: string;
  /** JSON of it. */
  readonly text: string;
}

/** Entries on their way, at most: beyond that nothing is changed until Postgres has taken some. */
export const maxOutboxEntries = 10_000;

/** Hash: id → JSON. One for all apps. */
function outboxKey(prefix: string): string {
  return `${prefix}:{:audit}`;
}

/**
 * Makes a change in Redis, written down before and after: an entry that stays `begun` is of a process that died, or lost
 * Redis, in the middle. Throws what the effect throws, and `PushQueueError` `backpressure`, before anything is changed,
 * while too many entries wait for Postgres.
 */
export async function recordChange<T>(
  options: AppControlOptions,
  entry: RecordedChange,
  effect: () => Promise<Effect<T>>,
): Promise<T> {
  if (!(await put(options, { ...entry, result: 'begun' }))) {
    throw new PushQueueError('backpressure', 'the audit log is full until Postgres has taken some of it');
  }
  try {
    const { value, after } = await effect();
    await put(options, { ...entry, after, result: 'done' }).catch(() => false);
    return value;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    const after = { error: typeof code === 'string' ? code : 'internal' };
    await put(options, { ...entry, after, result: 'failed' }).catch(() => false);
    throw error;
  }
}

/** Some of what is on its way. */
export async function readAuditOutbox(
  { redis, prefix }: AppControlOptions,
  limit: number,
): Promise<OutboxEntry[]> {
  const fields = (await redis.hrandfield(outboxKey(prefix), limit, 'WITHVALUES')) as string[];
  return fields.flatMap((id, at) => (at % 2 === 0 ? [{ id, text: fields[at + 1]! }] : []));
}

/** How many entries are on their way. */
export async function countAuditOutbox({ redis, prefix }: AppControlOptions): Promise<number> {
  return redis.hlen(outboxKey(prefix));
}

/** Takes away what has arrived; what has changed since it was read stays. */
export async function clearAuditOutbox(
  { redis, prefix }: AppControlOptions,
  entries: readonly OutboxEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  const args = { entries: entries.flatMap(({ id, text }) => [id, text]) };
  await runScript(redis, 'clear-changes', { outbox: outboxKey(prefix) }, args);
}

async function put({ redis, prefix }: AppControlOptions, entry: RecordedChange): Promise<boolean> {
  const args = { id: entry.id, entry: JSON.stringify(entry), maxEntries: maxOutboxEntries };
  return (await runScript(redis, 'put-change', { outbox: outboxKey(prefix) }, args)) === 1;
}
