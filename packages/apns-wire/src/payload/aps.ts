import {
  checkJson,
  checkJsonObject,
  checkKey,
  checkText,
  isPlainObject,
  type JsonObject,
  type JsonValue,
} from './json-value.ts';
import { invalid } from './payload-error.ts';

// The `aps` dictionary as it goes on the wire, in Apple's names and types (Apple, "Generating a remote
// notification" and "Starting and updating Live Activities with ActivityKit push notifications").

export const interruptionLevels = ['passive', 'active', 'time-sensitive', 'critical'] as const;
export type InterruptionLevel = (typeof interruptionLevels)[number];

export const activityEvents = ['start', 'update', 'end'] as const;
export type ActivityEvent = (typeof activityEvents)[number];

/** A text that the app translates. */
export interface ApsLocalized {
  readonly 'loc-key': string;
  readonly 'loc-args'?: readonly string[];
}

export interface ApsAlert {
  /** Of a Live Activity it may be localized. */
  readonly title?: string | ApsLocalized;
  readonly subtitle?: string;
  /** Of a Live Activity it may be localized. */
  readonly body?: string | ApsLocalized;
  readonly 'launch-image'?: string;
  // Null is as good as absent.
  readonly 'title-loc-key'?: string | null;
  readonly 'title-loc-args'?: readonly string[] | null;
  readonly 'subtitle-loc-key'?: string | null;
  readonly 'subtitle-loc-args'?: readonly string[] | null;
  readonly 'loc-key'?: string | null;
  readonly 'loc-args'?: readonly string[] | null;
  /** Of the binary era: label of the action button; null: no such button. */
  readonly 'action-loc-key'?: string | null;
  /** Of Safari's website pushes: label of the action button. */
  readonly action?: string;
  /** Of a Live Activity: name of its sound. */
  readonly sound?: string;
}

/** Sound of a critical alert. */
export interface ApsSound {
  readonly critical?: 0 | 1;
  readonly name: string;
  /** 0 (silent) to 1 (full). */
  readonly volume?: number;
}

export interface Aps {
  readonly alert?: string | ApsAlert;
  /** 0 removes the badge. */
  readonly badge?: number;
  readonly sound?: string | ApsSound;
  readonly 'thread-id'?: string;
  readonly category?: string;
  readonly 'content-available'?: 0 | 1;
  readonly 'mutable-content'?: 0 | 1;
  readonly 'target-content-id'?: string;
  readonly 'interruption-level'?: InterruptionLevel;
  /** 0 to 1; of a Live Activity, any number. */
  readonly 'relevance-score'?: number;
  readonly 'filter-criteria'?: string;
  readonly 'url-args'?: readonly string[];
  readonly 'content-changed'?: boolean;
  // Live Activities. Times are epoch seconds.
  readonly event?: ActivityEvent;
  readonly timestamp?: number;
  readonly 'content-state'?: JsonObject;
  readonly 'stale-date'?: number;
  readonly 'dismissal-date'?: number;
  readonly 'attributes-type'?: string;
  readonly attributes?: JsonObject;
  readonly 'input-push-token'?: 0 | 1;
  readonly 'input-push-channel'?: string;
}

/** A payload as it goes on the wire: `aps` and the app's own keys beside it. */
export interface Payload {
  readonly aps?: Aps;
  readonly [key: string]: JsonValue | Aps | undefined;
}

/** Beyond it times are in milliseconds: the year 5138. */
const maxEpochSeconds = 99_999_999_999;

type Check = (field: string, value: unknown) => void;

const orNull =
  (check: Check): Check =>
  (field, value) => {
    if (value !== null) check(field, value);
  };
const checkTexts: Check = (field, value) => {
  if (!Array.isArray(value)) throw invalid(field, 'must be a list of texts, such as ["Anna"]');
  for (let index = 0; index < value.length; index++) checkText(`${field}[${index}]`, value[index]);
};
const checkFlag: Check = (field, value) => {
  if (value !== 0 && value !== 1) throw invalid(field, 'must be 1 or 0');
};
const checkCount: Check = (field, value) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw invalid(field, 'must be a whole number from 0 on, such as 3');
};
const checkTime: Check = (field, value) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw invalid(field, 'must be whole epoch seconds, such as 1764000000');
  if ((value as number) > maxEpochSeconds)
    throw invalid(field, 'must be epoch seconds, such as 1764000000; this looks like milliseconds');
};
const checkNumber: Check = (field, value) => {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw invalid(field, 'must be a number, such as 0.5');
};
const checkBoolean: Check = (field, value) => {
  if (typeof value !== 'boolean') throw invalid(field, 'must be true or false');
};
const oneOf =
  (values: readonly string[]): Check =>
  (field, value) => {
    if (!values.includes(value as string)) throw invalid(field, `must be one of ${values.join(', ')}`);
  };

const localizedFields: ReadonlyMap<string, Check> = new Map<keyof ApsLocalized, Check>([
  ['loc-key', checkText],
  ['loc-args', checkTexts],
]);

/** Text, or what the app translates; whether it may be is up to the push, `checkAps` looks. */
const checkLocalizable: Check = (field, value) => {
  if (!isPlainObject(value)) {
    checkText(field, value);
    return;
  }
  checkFields(field, value, localizedFields);
  if (value['loc-key'] === undefined) throw invalid(`${field}.loc-key`, 'is missing');
};

const alertFields: ReadonlyMap<string, Check> = new Map<keyof ApsAlert, Check>([
  ['title', checkLocalizable],
  ['subtitle', checkText],
  ['body', checkLocalizable],
  ['launch-image', checkText],
  ['title-loc-key', orNull(checkText)],
  ['title-loc-args', orNull(checkTexts)],
  ['subtitle-loc-key', orNull(checkText)],
  ['subtitle-loc-args', orNull(checkTexts)],
  ['loc-key', orNull(checkText)],
  ['loc-args', orNull(checkTexts)],
  ['action-loc-key', orNull(checkText)],
  ['action', checkText],
  ['sound', checkText],
]);

const soundFields: ReadonlyMap<string, Check> = new Map<keyof ApsSound, Check>([
  ['critical', checkFlag],
  ['name', checkText],
  ['volume', checkFraction],
]);

const apsFields: ReadonlyMap<string, Check> = new Map<keyof Aps, Check>([
  ['alert', checkAlert],
  ['badge', checkCount],
  ['sound', checkSound],
  ['thread-id', checkText],
  ['category', checkText],
  ['content-available', checkFlag],
  ['mutable-content', checkFlag],
  ['target-content-id', checkText],
  ['interruption-level', oneOf(interruptionLevels)],
  ['relevance-score', checkNumber],
  ['filter-criteria', checkText],
  ['url-args', checkTexts],
  ['content-changed', checkBoolean],
  ['event', oneOf(activityEvents)],
  ['timestamp', checkTime],
  ['content-state', checkJsonObject],
  ['stale-date', checkTime],
  ['dismissal-date', checkTime],
  ['attributes-type', checkText],
  ['attributes', checkJsonObject],
  ['input-push-token', checkFlag],
  ['input-push-channel', checkText],
]);

const activityKeys: ReadonlySet<string> = new Set([
  'event',
  'content-state',
  'attributes-type',
  'attributes',
  'stale-date',
  'dismissal-date',
  'input-push-token',
  'input-push-channel',
] satisfies (keyof Aps)[]);

/** Whether an `aps` is that of a Live Activity. */
export function isActivity(aps: Aps): boolean {
  // By the few keys that it has: single sends pass here by the tens of thousands a second.
  for (const key in aps) if (activityKeys.has(key) && aps[key as keyof Aps] !== undefined) return true;
  return false;
}

/**
 * Checks an `aps` dictionary. Keys that this page does not know must be JSON and are let through: Apple adds some
 * every year. Throws `PayloadError` with the field's path.
 */
export function checkAps(path: string, value: unknown): asserts value is Aps {
  if (!isPlainObject(value)) throw invalid(path, 'must be an object, such as {"alert":"Hello"}');
  checkFields(path, value, apsFields);
  if (isActivity(value as Aps)) return;
  if (value['relevance-score'] !== undefined)
    checkFraction(`${path}.relevance-score`, value['relevance-score']);
  if (isPlainObject(value.alert)) {
    for (const part of ['title', 'body'] as const) {
      const text = value.alert[part];
      if (text !== undefined) checkText(`${path}.alert.${part}`, text);
    }
  }
}

function checkFields(path: string, value: Record<string, unknown>, fields: ReadonlyMap<string, Check>): void {
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue;
    const field = `${path}.${key}`;
    const check = fields.get(key);
    if (check !== undefined) {
      check(field, value[key]);
      continue;
    }
    checkKey(path, key);
    checkJson(field, value[key], 0);
  }
}

function checkAlert(field: string, value: unknown): void {
  if (isPlainObject(value)) checkFields(field, value, alertFields);
  else if (typeof value === 'string') checkText(field, value);
  else throw invalid(field, 'must be text, such as "Hello", or an object, such as {"title":"Hello"}');
}

function checkSound(field: string, value: unknown): void {
  if (isPlainObject(value)) {
    checkFields(field, value, soundFields);
    if (value.name === undefined) throw invalid(`${field}.name`, 'is missing');
  } else if (typeof value === 'string') checkText(field, value);
  else throw invalid(field, 'must be text, such as "default", or an object, such as {"name":"alarm.caf"}');
}

function checkFraction(field: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw invalid(field, 'must be a number from 0 to 1, such as 0.5');
}
