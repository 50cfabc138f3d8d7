import { setImmediate } from 'node:timers/promises';
import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import { type EncodedPayload, encodePayload, firstContentField } from '@pushfleet/apns-wire/payload';
import type { EncodedNotification } from '../push-job/encode.ts';
import { besideContent, type EncodingContext, encodeParts, noToken, parseToken } from './encode.ts';
import { invalidField, located, pathInBatch } from './notification-defect.ts';
import {
  maxBatchNotifications,
  type NotificationDefaults,
  type NotificationInput,
} from './notification-input.ts';

/** Notifications that are encoded without a look at anything else. */
const turnNotifications = 50;

/** Checks the shape of a batch. @throws PushQueueError */
export function checkBatchInput(notifications: unknown, defaults: unknown): void {
  if (!Array.isArray(notifications)) throw invalidField('notifications', 'must be a list');
  if (notifications.length === 0 || notifications.length > maxBatchNotifications) {
    throw invalidField('notifications', `must be 1 to ${maxBatchNotifications}, not ${notifications.length}`);
  }
  if (typeof defaults === 'object' && defaults !== null && !Array.isArray(defaults)) return;
  throw invalidField('defaults', 'must be an object, such as {"alert":"Hello"}');
}

/** Encodes notifications that share defaults; what is shared is encoded once. */
export class BatchEncoder {
  readonly #defaults: NotificationDefaults;
  readonly #context: EncodingContext;
  #shared: EncodedPayload | undefined;

  constructor(defaults: NotificationDefaults, context: EncodingContext) {
    this.#defaults = defaults;
    this.#context = context;
  }

  /** A large batch leaves the other calls of the process their turn. Throws `PushQueueError`. */
  async encodeAll(inputs: readonly NotificationInput[]): Promise<EncodedNotification[]> {
    const encoded: EncodedNotification[] = [];
    const payloads = new Map<string, string>();
    for (const [place, input] of inputs.entries()) {
      if (place > 0 && place % turnNotifications === 0) await setImmediate();
      const one = located(pathInBatch(input, this.#defaults, place), () => this.encode(input));
      // The same text is the same value: its job finds that out without a look at the text.
      const payload = payloads.get(one.payload) ?? one.payload;
      payloads.set(payload, payload);
      encoded.push({ ...one, payload });
    }
    return encoded;
  }

  /** Checks all but the device tokens. Throws `PushQueueError`. */
  checkAll(inputs: readonly NotificationDefaults[]): void {
    for (const [place, input] of inputs.entries()) {
      located(pathInBatch(input, this.#defaults, place), () => this.check(input));
    }
  }

  /** Throws as `encodeNotification` does. */
  encode(input: NotificationInput): EncodedNotification {
    if (typeof input !== 'object' || input === null) throw invalidField('token', 'is missing');
    return this.#encode(input, parseToken(input.token));
  }

  /** Checks all but the device token. Throws as `encode` does. */
  check(input: NotificationDefaults): void {
    this.#encode(input, noToken);
  }

  #encode(input: NotificationDefaults, token: DeviceToken): EncodedNotification {
    const { payload, truncate, ttl, expiresAt, priority, pushType, collapseId } = input;
    const ownPayload =
      payload !== undefined ||
      truncate !== undefined ||
      pushType !== undefined ||
      firstContentField(input, besideContent.notification) !== undefined;
    if (ownPayload) {
      const merged = merge(this.#defaults, input);
      const encoded = encodePayload(merged, this.#context.traits, besideContent.notification);
      return encodeParts(token, encoded, merged, this.#context);
    }
    const defaults = this.#defaults;
    const ownTime = ttl !== undefined || expiresAt !== undefined;
    return encodeParts(
      token,
      this.#sharedPayload(),
      {
        ttl: ownTime ? ttl : defaults.ttl,
        expiresAt: ownTime ? expiresAt : defaults.expiresAt,
        priority: priority ?? defaults.priority,
        collapseId: collapseId ?? defaults.collapseId,
      },
      this.#context,
    );
  }

  #sharedPayload(): EncodedPayload {
    this.#shared ??= encodePayload(this.#defaults, this.#context.traits, besideContent.delivery);
    return this.#shared;
  }
}

/**
 * The notification with what it leaves open taken from the defaults. Fields that exclude each other go together: its
 * own payload replaces the defaults' content, its own content their payload, its own time theirs of either kind.
 */
function merge(defaults: NotificationDefaults, input: NotificationDefaults): NotificationDefaults {
  const { payload, truncate, ttl, expiresAt, priority, pushType, collapseId, ...content } = defaults;
  const { payload: ownPayload, ttl: ownTtl, expiresAt: ownExpiresAt } = input;
  const merged: Record<string, unknown> = { truncate, priority, pushType, collapseId };
  if (ownTtl === undefined && ownExpiresAt === undefined) Object.assign(merged, { ttl, expiresAt });
  if (ownPayload === undefined) Object.assign(merged, content);
  if (firstContentField(input, besideContent.notification) === undefined) merged.payload = payload;
  for (const [key, value] of Object.entries(input)) if (value !== undefined) merged[key] = value;
  return merged as NotificationDefaults;
}
