import { lanes } from '../lane.ts';
import type { AppDirectory, AppTraits } from './app-directory.ts';
import type { BatchCall } from './batch-sends.ts';
import { parseTime } from './encode-notification.ts';
import { checkIdempotencyKey, fingerprintOf } from './idempotency-record.ts';
import { invalidField } from './notification-defect.ts';
import { type CallOptions, maxScheduleSeconds, type RecallOptions } from './notification-input.ts';

/** What concerns a call as a whole, checked. */
export interface ParsedCall extends BatchCall {
  readonly traits: AppTraits;
}

/**
 * Checks what concerns the whole call.
 * @param identity What the call asks for, where it has an idempotency key; only then it is looked at.
 * Throws `PushQueueError`.
 */
export function parseCall(
  directory: AppDirectory,
  input: CallOptions,
  identity: object,
  recall: RecallOptions = {},
): ParsedCall {
  const { app, lane = 'transactional', sendAt, idempotencyKey } = input;
  const traits = directory.traitsOf(app);
  if (!lanes.includes(lane)) throw invalidField('lane', `must be one of ${lanes.join(', ')}`);
  const startMs = sendAt === undefined ? undefined : parseSendAt(sendAt);
  if (idempotencyKey === undefined) return { app, lane, startMs, keyed: undefined, traits };
  checkIdempotencyKey(idempotencyKey);
  const { idempotencyKey: _, ...rest } = identity as CallOptions;
  const fingerprint = recall.fingerprint ?? fingerprintOf(rest);
  const keyed = { key: idempotencyKey, fingerprint, windowMs: recall.idempotencyWindowMs };
  return { app, lane, startMs, keyed, traits };
}

/** Undefined: the time has come already. */
function parseSendAt(sendAt: unknown): number | undefined {
  const startMs = parseTime('sendAt', sendAt);
  const nowMs = Date.now();
  if (startMs > nowMs + maxScheduleSeconds * 1000) throw invalidField('sendAt', 'is more than 30 days ahead');
  return startMs <= nowMs ? undefined : startMs;
}
