import { hostname, userInfo } from 'node:os';
import { type Effect, recordChange } from '@pushfleet/push-queue';
import {
  type AuditChange,
  type AuditEntry,
  type AuditOrigin,
  createAuditEntry,
} from '@pushfleet/token-store';
import type { Fleet } from '../fleet/fleet.ts';

/** Who runs the command: the user of the system at its host, and from where, if by SSH. */
function auditOrigin(env: NodeJS.ProcessEnv): AuditOrigin {
  return {
    actor: { kind: 'cli', id: `${userName()}@${hostname()}`, name: null },
    address: env.SSH_CONNECTION?.split(' ', 1)[0] || null,
    requestId: null,
  };
}

/** In a container there may be a number and no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** An entry for a change in Postgres, which is done when it is written. */
export function entryOf(env: NodeJS.ProcessEnv, change: AuditChange): AuditEntry {
  return createAuditEntry(auditOrigin(env), change, 'done');
}

/** Makes a change in Redis that a producer takes to the audit log. Throws what the effect throws, and `PushQueueError`. */
export async function recordInRedis<T>(
  { control }: Pick<Fleet, 'control'>,
  env: NodeJS.ProcessEnv,
  change: Omit<AuditChange, 'after'>,
  effect: () => Promise<Effect<T>>,
): Promise<T> {
  const entry = createAuditEntry(auditOrigin(env), { ...change, after: null }, 'begun');
  return recordChange(control, entry, effect);
}
