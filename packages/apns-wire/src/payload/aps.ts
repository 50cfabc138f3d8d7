import {
  checkJson,
  checkJsonObject,
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

export interface ApsAlert {
  readonly title?: string;
  readonly subtitle?: string;
  readonly body?: string;
  readonly 'launch-image'?: string;
  readonly 'title-loc-key'?: string;
  readonly 'title-loc-args'?: readonly string[];
  readonly 'subtitle-loc-key'?: string;
  readonly 'subtitle-loc-args'?: readonly string[];
  readonly 'loc-key'?: string;
  readonly 'loc-args'?: readonly string[];
  /** Of the binary era: label of the action button; null: no such button. */
  readonly 'action-loc-key'?: string | null;
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

type Check = (field: string, value: unknown) => void;

const checkTexts: Check = (field, value) => {
  if (!Array.isArray(value)) throw invalid(field, 'must be an array of strings');
  for (let index = 0; index < value.length; index++) checkText(`${field}[${index}]`, value[index]);
};
const checkFlag: Check = (field, value) => {
  if (value !== 0 && value !== 1) throw invalid(field, 'must be 1 or 0');
};
const checkCount: Check = (field, value) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw invalid(field, 'must be an integer from 0 on');
};
const checkNumber: Check = (field, value) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(field, 'must be a number');
};
const checkBoolean: Check = (field, value) => {
  if (typeof value !== 'boolean') throw invalid(field, 'must be true or false');
};
const oneOf =
  (values: readonly string[]): Check =>
  (field, value) => {
    if (!values.includes(value as string)) throw invalid(field, `must be one of ${values.join(', ')}`);
  };

const alertFields: ReadonlyMap<string, Check> = new Map<keyof ApsAlert, Check>([
  ['title', checkText],
  ['subtitle', checkText],
  ['body', checkText],
  ['launch-image', checkText],
  ['title-loc-key', checkText],
  ['title-loc-args', checkTexts],
  ['subtitle-loc-key', checkText],
  ['subtitle-loc-args', checkTexts],
  ['loc-key', checkText],
  ['loc-args', checkTexts],
  ['action-loc-key', (field, value) => value === null || checkText(field, value)],
]);

const soundFields: ReadonlyMap<string, Check> = new Map<keyof ApsSound, Check>([
  ['critical', checkFlag],
  ['name', checkText],
  ['volume', checkFraction],
]);

const apsFields: ReadonlyMap<string, Check> = new Map<keyof Aps, Check>([
  ['alert', (field, value) => checkTextOr(field, value, alertFields)],
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
  ['timestamp', checkCount],
  ['content-state', checkJsonObject],
  ['stale-date', checkCount],
  ['dismissal-date', checkCount],
  ['attributes-type', checkText],
  ['attributes', checkJsonObject],
  ['input-push-token', checkFlag],
  ['input-push-channel', checkText],
]);

/**
 * Checks an `aps` dictionary. Keys that this page does not know must be JSON and are let through: Apple adds some
 * every year. Throws `PayloadError` with the field's path.
 */
export function checkAps(value: unknown): asserts value is Aps {
  if (!isPlainObject(value)) throw invalid('aps', 'must be an object');
  checkFields('aps', value, apsFields);
  if (value['relevance-score'] !== undefined && value['content-state'] === undefined) {
    checkFraction('aps.relevance-score', value['relevance-score']);
  }
}

/**
 * 5 for a push with nothing in it but `content-available`, which it is an error to send with 10 (PROTOCOL section 1);
 * undefined when any priority will do.
 */
export function requiredPriority(aps: Aps | undefined): 5 | undefined {
  const background =
    aps?.['content-available'] === 1 &&
    aps.alert === undefined &&
    aps.badge === undefined &&
    aps.sound === undefined;
  return background ? 5 : undefined;
}

function checkFields(path: string, value: Record<string, unknown>, fields: ReadonlyMap<string, Check>): void {
  for (const key in value) {
    if (value[key] === undefined) continue;
    const field = `${path}.${key}`;
    const check = fields.get(key);
    if (check === undefined) checkJson(field, value[key], 0);
    else check(field, value[key]);
  }
}

function checkTextOr(field: string, value: unknown, fields: ReadonlyMap<string, Check>): void {
  if (isPlainObject(value)) checkFields(field, value, fields);
  else if (typeof value === 'string') checkText(field, value);
  else throw invalid(field, 'must be a string or an object');
}

function checkSound(field: string, value: unknown): void {
  checkTextOr(field, value, soundFields);
  if (isPlainObject(value) && value.name === undefined) throw invalid(`${field}.name`, 'is missing');
}

function checkFraction(field: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw invalid(field, 'must be a number from 0 to 1');
}
