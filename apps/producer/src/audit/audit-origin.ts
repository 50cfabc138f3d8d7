import {
  type AuditChange,
  type AuditEntry,
  type AuditOrigin,
  createAuditEntry,
} from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';

/** Who makes a request, and from where. */
export function auditOrigin({ grant, ip, id }: FastifyRequest): AuditOrigin {
  const { keyId, keyName } = grant;
  return {
    actor:
      keyId === undefined
        ? { kind: 'anyone', id: null, name: null }
        : { kind: 'key', id: keyId, name: keyName ?? null },
    // Of a connection that has ended it may not be known.
    address: (ip as string | undefined) ?? null,
    requestId: id,
  };
}

/** An entry for a change in Postgres, which is done when it is written. */
export function entryOf(request: FastifyRequest, change: AuditChange): AuditEntry {
  return createAuditEntry(auditOrigin(request), change, 'done');
}
