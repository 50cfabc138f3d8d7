import type { ActivityEvent, Aps, ApsAlert, InterruptionLevel, Payload } from './aps.ts';
import { isPlainObject, type JsonObject, type JsonValue } from './json-value.ts';
import { invalid } from './payload-error.ts';

// What a push says, as a program writes it: Apple's names in camel case, flags as booleans, the app's own keys under
// `custom`. It becomes a `Payload`; the checks of values are made there, in one place.

/** A text that the app translates. */
export interface LocalizedContent {
  readonly locKey: string;
  readonly locArgs?: readonly string[];
}

export interface AlertContent {
  /** Of a Live Activity it may be localized. */
  readonly title?: string | LocalizedContent;
  readonly subtitle?: string;
  /** Of a Live Activity it may be localized. */
  readonly body?: string | LocalizedContent;
  readonly launchImage?: string;
  readonly titleLocKey?: string | null;
  readonly titleLocArgs?: readonly string[] | null;
  readonly subtitleLocKey?: string | null;
  readonly subtitleLocArgs?: readonly string[] | null;
  readonly locKey?: string | null;
  readonly locArgs?: readonly string[] | null;
  readonly actionLocKey?: string | null;
  /** Of Safari's website pushes: label of the action button. */
  readonly action?: string;
  /** Of a Live Activity: name of its sound. */
  readonly sound?: string;
}

export interface SoundContent {
  readonly critical?: boolean;
  readonly name: string;
  /** 0 (silent) to 1 (full). */
  readonly volume?: number;
}

export interface PayloadContent {
  readonly alert?: string | AlertContent;
  /** 0 removes the badge. */
  readonly badge?: number;
  readonly sound?: string | SoundContent;
  readonly threadId?: string;
  readonly category?: string;
  readonly contentAvailable?: boolean;
  readonly mutableContent?: boolean;
  readonly targetContentId?: string;
  readonly interruptionLevel?: InterruptionLevel;
  /** 0 to 1; of a Live Activity, any number. */
  readonly relevanceScore?: number;
  readonly filterCriteria?: string;
  readonly urlArgs?: readonly string[];
  readonly contentChanged?: boolean;
  // Live Activities. Times are epoch seconds.
  readonly event?: ActivityEvent;
  readonly timestamp?: number;
  readonly contentState?: JsonObject;
  readonly staleDate?: number;
  readonly dismissalDate?: number;
  readonly attributesType?: string;
  readonly attributes?: JsonObject;
  readonly inputPushToken?: boolean;
  readonly inputPushChannel?: string;
  /** The app's own keys, which lie beside `aps`. */
  readonly custom?: Readonly<Record<string, JsonValue | undefined>>;
}

const alertNames = new Map<string, keyof ApsAlert>([
  ['title', 'title'],
  ['subtitle', 'subtitle'],
  ['body', 'body'],
  ['launchImage', 'launch-image'],
  ['titleLocKey', 'title-loc-key'],
  ['titleLocArgs', 'title-loc-args'],
  ['subtitleLocKey', 'subtitle-loc-key'],
  ['subtitleLocArgs', 'subtitle-loc-args'],
  ['locKey', 'loc-key'],
  ['locArgs', 'loc-args'],
  ['actionLocKey', 'action-loc-key'],
  ['action', 'action'],
  ['sound', 'sound'],
] satisfies [keyof AlertContent, keyof ApsAlert][]);

const localizedNames = new Map<string, string>([
  ['locKey', 'loc-key'],
  ['locArgs', 'loc-args'],
] satisfies [keyof LocalizedContent, string][]);

const soundNames = new Map<string, string>([
  ['critical', 'critical'],
  ['name', 'name'],
  ['volume', 'volume'],
] satisfies [keyof SoundContent, string][]);

const apsNames = new Map<string, keyof Aps>([
  ['alert', 'alert'],
  ['badge', 'badge'],
  ['sound', 'sound'],
  ['threadId', 'thread-id'],
  ['category', 'category'],
  ['contentAvailable', 'content-available'],
  ['mutableContent', 'mutable-content'],
  ['targetContentId', 'target-content-id'],
  ['interruptionLevel', 'interruption-level'],
  ['relevanceScore', 'relevance-score'],
  ['filterCriteria', 'filter-criteria'],
  ['urlArgs', 'url-args'],
  ['contentChanged', 'content-changed'],
  ['event', 'event'],
  ['timestamp', 'timestamp'],
  ['contentState', 'content-state'],
  ['staleDate', 'stale-date'],
  ['dismissalDate', 'dismissal-date'],
  ['attributesType', 'attributes-type'],
  ['attributes', 'attributes'],
  ['inputPushToken', 'input-push-token'],
  ['inputPushChannel', 'input-push-channel'],
] satisfies [Exclude<keyof PayloadContent, 'custom'>, keyof Aps][]);

const flags: ReadonlySet<string> = new Set<keyof PayloadContent | keyof SoundContent>([
  'contentAvailable',
  'mutableContent',
  'inputPushToken',
  'critical',
]);

/**
 * Renames content to what goes on the wire.
 * @param besides Fields that are no content, and passed over.
 * Throws `PayloadError` for a field that there is not, as it was written.
 */
export function payloadOf(content: PayloadContent, besides?: ReadonlySet<string>): Payload {
  if (typeof content !== 'object' || content === null) throw invalid('payload', 'must be an object');
  const { custom } = content;
  const aps = rename('', content, apsNames, (key) => key === 'custom' || besides?.has(key) === true);
  if (isPlainObject(aps.alert)) {
    const alert = rename('alert.', aps.alert, alertNames);
    for (const part of ['title', 'body'] as const) {
      const text = alert[part];
      if (isPlainObject(text)) alert[part] = rename(`alert.${part}.`, text, localizedNames);
    }
    aps.alert = alert;
  }
  if (isPlainObject(aps.sound)) aps.sound = rename('sound.', aps.sound, soundNames);
  if (custom === undefined) return { aps };
  if (!isPlainObject(custom)) throw invalid('custom', 'must be an object, such as {"order":"7"}');
  if (Object.hasOwn(custom, 'aps'))
    throw invalid('custom.aps', 'cannot be used as a key: `aps` lies beside the custom keys');
  return { aps, ...custom };
}

/** The field as a program writes it: `aps.alert.loc-args[1]` is `alert.locArgs[1]`. Keys of values stay as they are. */
export function contentPath(field: string): string {
  const parts = field.split('.').slice(1);
  const named = parts[0] === 'alert' || parts[0] === 'sound' ? parts.length : 1;
  return parts
    .map((part, place) =>
      place < named ? part.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase()) : part,
    )
    .join('.');
}

function rename(
  path: string,
  content: object,
  names: ReadonlyMap<string, string>,
  isBeside?: (key: string) => boolean,
): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const key in content) {
    const value: unknown = content[key as keyof typeof content];
    if (value === undefined) continue;
    const name = names.get(key);
    if (name === undefined) {
      if (isBeside?.(key) === true) continue;
      throw invalid(`${path}${key}`, 'is not a field of a notification');
    }
    if (!flags.has(key)) renamed[name] = value;
    else if (value === true) renamed[name] = 1;
    else if (value !== false) throw invalid(`${path}${key}`, 'must be true or false');
  }
  return renamed;
}
