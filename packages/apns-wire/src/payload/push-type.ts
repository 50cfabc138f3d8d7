import { type Aps, isActivity, type Payload } from './aps.ts';
import { invalid } from './payload-error.ts';

// What kind of push a payload is. Apple: the push type has to say what the payload holds; where they contradict each
// other APNs may refuse, delay or drop the push ("Sending notification requests to APNs").

/** Apple's `apns-push-type` values. */
export const pushTypes = [
  'alert',
  'background',
  'voip',
  'complication',
  'fileprovider',
  'location',
  'liveactivity',
  'widgets',
  'controls',
  'pushtotalk',
  'mdm',
] as const;
export type KnownPushType = (typeof pushTypes)[number];

/** One of `pushTypes`, or a newer one. */
export type PushType = KnownPushType | (string & {});

/** A push type that can be sent: a newer one than those we know looks like them. */
const pushTypeForm = /^[a-z][a-z0-9-]{0,63}$/;

export function isPushType(value: unknown): value is PushType {
  return typeof value === 'string' && pushTypeForm.test(value);
}

export function isKnownPushType(value: unknown): value is KnownPushType {
  return (pushTypes as readonly unknown[]).includes(value);
}

/** Those whose payload has to have an `aps`. Apple shows the others without it. */
const withAps: ReadonlySet<string> = new Set<KnownPushType>([
  'alert',
  'background',
  'liveactivity',
  'widgets',
  'controls',
]);

function holdsOnly(aps: Aps, key: keyof Aps): boolean {
  return (
    aps[key] !== undefined &&
    Object.entries(aps).every(([name, value]) => name === key || value === undefined)
  );
}

/** Whether there is something that people see or hear. */
function alerts(aps: Aps): boolean {
  return aps.alert !== undefined || aps.badge !== undefined || aps.sound !== undefined;
}

/**
 * 5 for a push with nothing in it but `content-available`, which it is an error to send with 10
 * (`docs/protocol/binary.md#priority`); undefined when any priority will do.
 */
export function requiredPriority(aps: Aps | undefined): 5 | undefined {
  return aps?.['content-available'] === 1 && !alerts(aps) ? 5 : undefined;
}

/**
 * The push type of a payload, from what it holds where the caller does not name it.
 * @param path Where `aps` is, for errors: `payload.aps`.
 * Throws `PayloadError` where the two contradict each other, or where more than one would do.
 */
export function pushTypeOf(payload: Payload, given: PushType | undefined, path: string): PushType {
  const { aps } = payload;
  if (aps === undefined) return withoutAps(payload, given, path);
  const pushType = given ?? inferred(aps);
  if (isActivity(aps) || pushType === 'liveactivity') checkActivity(aps, pushType, path);
  if (pushType === 'background') checkBackground(aps, path);
  return pushType;
}

function inferred(aps: Aps): PushType {
  if (isActivity(aps)) return 'liveactivity';
  if (requiredPriority(aps) === 5) return 'background';
  if (holdsOnly(aps, 'content-changed')) {
    throw invalid('pushType', 'is missing: content that changed is of `widgets` or of `controls`');
  }
  return 'alert';
}

/** Apple's examples of payloads without `aps`: MDM, file provider, and Wallet, whose payload is empty. */
function withoutAps(payload: Payload, given: PushType | undefined, path: string): PushType {
  if (given === undefined) {
    if (payload.mdm !== undefined) return 'mdm';
    if (payload['container-identifier'] !== undefined) return 'fileprovider';
  } else if (!withAps.has(given)) {
    return given;
  }
  const isEmpty = Object.values(payload).every((value) => value === undefined);
  if (isEmpty && (given ?? 'alert') === 'alert') return 'alert';
  throw invalid(path, 'is missing; name the `pushType` of a push that has none, such as `voip`');
}

/** Apple, "Starting and updating Live Activities with ActivityKit push notifications". */
function checkActivity(aps: Aps, pushType: PushType, path: string): void {
  const missing = (key: keyof Aps, why: string) => invalid(`${path}.${key}`, `is missing: ${why}`);
  if (pushType !== 'liveactivity') {
    if (!isKnownPushType(pushType)) return;
    throw invalid(
      'pushType',
      `must be liveactivity, not ${pushType}: the content is that of a Live Activity`,
    );
  }
  if (aps.event === undefined) throw missing('event', 'a Live Activity is told start, update or end');
  if (aps.event === 'end') return;
  if (aps.event === 'start') {
    const why = 'a Live Activity cannot start without it';
    if (aps['attributes-type'] === undefined) throw missing('attributes-type', why);
    if (aps.attributes === undefined) throw missing('attributes', why);
    if (aps.alert === undefined) throw missing('alert', why);
  }
  if (aps['content-state'] === undefined) throw missing('content-state', `it belongs to \`${aps.event}\``);
}

function checkBackground(aps: Aps, path: string): void {
  if (alerts(aps)) throw invalid('pushType', 'must be alert: a background push has no alert, badge or sound');
  if (aps['content-available'] !== 1) {
    throw invalid(`${path}.content-available`, 'must be set: it makes a push a background push');
  }
}
