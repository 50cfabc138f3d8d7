import { invalid } from './payload-error.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** Deeper nesting is a cycle or an attack; no payload of 4 KiB needs it. */
const maxDepth = 64;

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Text that UTF-8 can carry: a lone surrogate would arrive as another character. */
export function checkText(field: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw invalid(field, 'must be text, such as "Hello"');
  if (!value.isWellFormed()) throw invalid(field, 'has half a character (a lone surrogate)');
}

export function checkJsonObject(field: string, value: unknown): asserts value is JsonObject {
  if (!isPlainObject(value)) throw invalid(field, 'must be an object, such as {"score":3}');
  checkJson(field, value, 0);
}

/** A key that many programs lose or misuse when they read an object. */
const unsafeKey = '__proto__';

/** A key that can be sent as it is. */
export function checkKey(path: string, key: string): void {
  if (!key.isWellFormed()) throw invalid(path, 'has a key with half a character (a lone surrogate)');
  if (key === unsafeKey) throw invalid(`${path}.${key}`, 'cannot be used as a key');
}

/**
 * Accepts what JSON carries as it is. Refuses what JSON.stringify would change without a word: NaN to null, a Date to
 * text, a function to nothing; and whole numbers beyond 2^53, whose digits a number does not keep. A property that is
 * undefined counts as absent.
 */
export function checkJson(field: string, value: unknown, depth: number): void {
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string') {
    checkText(field, value);
    return;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(field, `${value} is not a JSON number`);
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw invalid(field, 'is a whole number beyond 2^53, which loses digits; send it as text');
    }
    return;
  }
  if (typeof value !== 'object') throw invalid(field, `${typeof value} is not a JSON value`);
  if (depth === maxDepth) throw invalid(field, `is nested more than ${maxDepth} deep`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      checkJson(`${field}[${index}]`, value[index], depth + 1);
  } else if (isPlainObject(value)) {
    for (const key of Object.keys(value)) {
      checkKey(field, key);
      if (value[key] !== undefined) checkJson(`${field}.${key}`, value[key], depth + 1);
    }
  } else {
    throw invalid(field, 'must be a plain object');
  }
}
