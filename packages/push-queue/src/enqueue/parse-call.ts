import type { AppTraits } from '../app-traits.ts';
import { lanes } from '../lane.ts';
import type { AppDirectory } from './app-directory.ts';
import type { BatchCall } from './batch-sends.ts';
import { fingerprintOf, recordNameOf } from './idempotency-record.ts';
import { invalidField } from './notification-defect.ts';
import {
  type BatchOptions,
  type CallOptions,
  maxBatchNotifications,
  maxScheduleSeconds,
} from './notification-input.ts';
import { parseTime } from './parse-time.ts';

/** What concerns a call as a whole, checked. */
export interface ParsedCall extends BatchCall {
  readonly traits: AppTraits;
  /** From when on expirations count, epoch milliseconds; undefined: `startMs`, or now. */
  readonly dueMs: number | undefined;
}

/**
 * Checks what concerns the whole call.
 * @param identity What the call asks for, where it has an idempotency key. It is read when its fingerprint is asked
 * for, which is after it has been checked.
 * Throws `PushQueueError`.
 */
export function parseCall(
  directory: AppDirectory,
  input: CallOptions,
  identity: object,
  recall: BatchOptions = {},
): ParsedCall {
  const { app, lane = 'transactional', sendAt, idempotencyKey } = input;
  const traits = directory.traitsOf(app);
  if (!lanes.includes(lane)) throw invalidField('lane', `must be one of ${lanes.join(', ')}`);
  const startMs = sendAt === undefined ? undefined : parseSendAt(sendAt);
  const { batchId, dueMs } = recall;
  const call = { app, lane, startMs, traits, batchId, dueMs };
  if (idempotencyKey === undefined) return { ...call, keyed: undefined };
  let known = recall.fingerprint;
  const keyed = {
    recordName: recordNameOf(idempotencyKey, recall),
    get fingerprint() {
      const { idempotencyKey: _, ...rest } = identity as CallOptions;
      known ??= fingerprintOf(rest);
      return known;
    },
    windowMs: recall.idempotencyWindowMs,
    note: recall.note,
  };
  return { ...call, keyed };
}

/** Undefined: the time has come already. */
function parseSendAt(sendAt: unknown): number | undefined {
  const startMs = parseTime('sendAt', sendAt);
  const nowMs = Date.now();
  if (startMs > nowMs + maxScheduleSeconds * 1000) throw invalidField('sendAt', 'is more than 30 days ahead');
  return startMs <= nowMs ? undefined : startMs;
}

/** Checks the shape of a batch. @throws PushQueueError */
export function checkBatchInput(notifications: unknown, defaults: unknown): void {
  if (!Array.isArray(notifications)) throw invalidField('notifications', 'must be a list');
  if (notifications.length === 0 || notifications.length > maxBatchNotifications) {
    throw invalidField('notifications', `must be 1 to ${maxBatchNotifications}, not ${notifications.length}`);
  }
  if (typeof defaults === 'object' && defaults !== null && !Array.isArray(defaults)) return;
  throw invalidField('defaults', 'must be an object, such as {"alert":"Hello"}');
}
