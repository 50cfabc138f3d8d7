import { randomFillSync } from 'node:crypto';

/** What can be in the audit log. */
export const auditActions = [
  'key.create',
  'key.rotate',
  'key.revoke',
  'device.remove',
  'devices.import',
  'upload.create',
  'channel.create',
  'channel.delete',
  'webhook.create',
  'webhook.delete',
  'webhook.resend',
  'webhook.test',
  'app.pause',
  'app.resume',
  'batch.cancel',
  'notification.cancel',
  'broadcast.create',
  'broadcast.pause',
  'broadcast.resume',
  'broadcast.cancel',
  'dead-letters.replay',
  'dead-letters.discard',
] as const;
export type AuditAction = (typeof auditActions)[number];

/** `begun`: it was about to be done, and whether it was is not known. */
export const auditResults = ['begun', 'done', 'failed'] as const;
export type AuditResult = (typeof auditResults)[number];

/** Who did it. */
export interface AuditActor {
  /** A key of the API, the command line, or whoever reached an API whose keys were off. */
  readonly kind: 'key' | 'cli' | 'anyone';
  /** The key's id, or `user@host`; null for `anyone`. */
  readonly id: string | null;
  /** The key's name. */
  readonly name: string | null;
}

/** Who did something, and from where. */
export interface AuditOrigin {
  readonly actor: AuditActor;
  /** IP address that the request came from; null: it is not known. */
  readonly address: string | null;
  readonly requestId: string | null;
}

/** What was done. */
export interface AuditChange {
  readonly action: AuditAction;
  /** Null: it concerns no single app. */
  readonly app: string | null;
  /** Id of what was changed, where it has one. */
  readonly target: string | null;
  /** Never secrets, device tokens or what people are told. */
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
}

/** One line of the audit log. */
export interface AuditEntry extends AuditOrigin, AuditChange {
  /** UUID of version 7, so in the order of time. */
  readonly id: string;
  readonly at: Date;
  readonly result: AuditResult;
}

/** Makes an entry of now. */
export function createAuditEntry(
  origin: AuditOrigin,
  change: AuditChange,
  result: AuditResult,
  at: Date = new Date(),
): AuditEntry {
  return { id: uuidOf(at), at, ...origin, ...change, result };
}

/** RFC 9562, version 7: 48 bits of epoch milliseconds, the rest random. */
function uuidOf(at: Date): string {
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes.writeUIntBE(at.getTime(), 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return [8, 12, 16, 20, 32].map((to, place) => hex.slice([0, 8, 12, 16, 20][place], to)).join('-');
}
