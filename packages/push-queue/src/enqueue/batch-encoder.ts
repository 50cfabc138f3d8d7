import type { EncodedPayload } from '@pushfleet/apns-wire/payload';
import {
  besideContent,
  type EncodedNotification,
  type EncodingContext,
  encodeNotification,
  encodeParts,
  encodePayload,
  firstContentField,
  parseToken,
} from './encode-notification.ts';
import { invalidField } from './notification-defect.ts';
import type { NotificationDefaults, NotificationInput } from './notification-input.ts';

/** Encodes notifications that share defaults; what is shared is encoded once. */
export class BatchEncoder {
  readonly #defaults: NotificationDefaults;
  readonly #context: EncodingContext;
  #shared: EncodedPayload | undefined;

  constructor(defaults: NotificationDefaults, context: EncodingContext) {
    this.#defaults = defaults;
    this.#context = context;
  }

  /** Throws as `encodeNotification` does. */
  encode(input: NotificationInput): EncodedNotification {
    if (typeof input !== 'object' || input === null) throw invalidField('token', 'is missing');
    const { token, payload, truncate, ttl, expiresAt, priority, pushType, collapseId } = input;
    const ownPayload =
      payload !== undefined ||
      truncate !== undefined ||
      pushType !== undefined ||
      firstContentField(input, besideContent.notification) !== undefined;
    if (ownPayload) return encodeNotification(merge(this.#defaults, input), this.#context);
    const defaults = this.#defaults;
    const ownTime = ttl !== undefined || expiresAt !== undefined;
    return encodeParts(
      parseToken(token),
      this.#sharedPayload(),
      {
        ttl: ownTime ? ttl : defaults.ttl,
        expiresAt: ownTime ? expiresAt : defaults.expiresAt,
        priority: priority ?? defaults.priority,
        pushType: defaults.pushType,
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
function merge(defaults: NotificationDefaults, input: NotificationInput): NotificationInput {
  const { payload, truncate, ttl, expiresAt, priority, pushType, collapseId, ...content } = defaults;
  const { payload: ownPayload, ttl: ownTtl, expiresAt: ownExpiresAt } = input;
  const merged: Record<string, unknown> = { truncate, priority, pushType, collapseId };
  if (ownTtl === undefined && ownExpiresAt === undefined) Object.assign(merged, { ttl, expiresAt });
  if (ownPayload === undefined) Object.assign(merged, content);
  if (firstContentField(input, besideContent.notification) === undefined) merged.payload = payload;
  for (const [key, value] of Object.entries(input)) if (value !== undefined) merged[key] = value;
  return merged as unknown as NotificationInput;
}
