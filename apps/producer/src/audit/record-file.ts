import { type AuditChange, createAuditEntry, type TokenStore } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { auditOrigin } from './audit-origin.ts';

/** What came of a file that was read, and what the audit log keeps of it. */
export interface ReadFile<T> {
  readonly value: T;
  readonly after: Readonly<Record<string, unknown>>;
}

/**
 * Reads a file that is written to Postgres in many transactions: it is in the audit log before the first of them, and
 * what came of it after the last. Throws what `read` throws, and TokenStoreError before it begins.
 */
export async function recordFile<T>(
  store: TokenStore,
  request: FastifyRequest,
  change: Omit<AuditChange, 'before' | 'after'>,
  read: () => Promise<ReadFile<T>>,
): Promise<T> {
  const unknown = { ...change, before: null, after: null };
  const entry = createAuditEntry(auditOrigin(request), unknown, 'begun');
  await store.auditLog.write([entry]);
  try {
    const { value, after } = await read();
    await store.auditLog.write([{ ...entry, after, result: 'done' }]).catch(() => undefined);
    return value;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    const after = { error: typeof code === 'string' ? code : 'internal' };
    await store.auditLog.write([{ ...entry, after, result: 'failed' }]).catch(() => undefined);
    throw error;
  }
}
