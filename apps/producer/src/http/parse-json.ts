import { isUtf8 } from 'node:buffer';
import { Turns } from '../turns.ts';
import { Problem, type ProblemCode } from './problem.ts';

// JSON as it was written, or refused: what JSON.parse would change without a word (bytes that are not UTF-8, a name
// that is there twice, digits that a number does not hold) is named by its field. Depth is counted before anything is
// parsed, so that nothing that walks a value can run out of stack.

/** Deeper than the deepest request: a payload may be nested 64 deep, in a notification of a list. */
const maxDepth = 100;

/** Values and names in a text: 5,000 notifications have 200 each, more than a payload usually holds. */
const maxValues = 1_000_000;

/** Longest text or name, and longest number, characters as they are written. */
const maxTextLength = 64 * 1024;
const maxNumberLength = 1_000;

/** Longest notification of a list, or field of a body, characters as they are written: ten times a payload. */
const maxItemLength = 64 * 1024;

/** Bodies beyond it are looked over in parts, of so many characters. */
const largeBytes = 128 * 1024;
const lookLength = 32 * 1024;

/** Most digits that a number holds whatever they are. */
const safeDigits = 15;

/** @throws Problem `invalid-json`, or `invalid-request` with the field */
export async function parseJsonBytes(bytes: Buffer): Promise<unknown> {
  if (bytes.length <= largeBytes) return parseJson(textOf(bytes), 'the body');
  const turns = new Turns();
  await turns.next();
  const source = withoutMark(textOf(bytes));
  await turns.next();
  // Looked over in turns, so that others have theirs.
  const looks = new Scanner(source).looks();
  for (;;) {
    const look = looks.next();
    if (look.done === true) return parseChecked(source, look.value, 'the body');
    await turns.next();
  }
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Problem('invalid-json', 'the body is not UTF-8');
  return bytes.toString('utf8');
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** @param what Names the text in errors. @throws Problem as `parseJsonBytes` */
export function parseJson(text: string, what: string): unknown {
  const source = withoutMark(text);
  return parseChecked(source, new Scanner(source).defect(), what);
}

function parseChecked(source: string, defect: Defect | undefined, what: string): unknown {
  if (defect?.kind === 'field') throw refused('invalid-request', pathAt(source, defect.at), defect.message);
  if (defect?.kind === 'depth') {
    const at = pathAt(source, defect.at);
    throw refused('invalid-request', shortened(at), `is nested more than ${maxDepth} deep`);
  }
  if (defect?.kind === 'values') {
    const message = `has more than ${maxValues} values; send fewer at once`;
    throw new Problem('invalid-request', `${what} ${message}`, { errors: [{ field: 'body', message }] });
  }
  try {
    return JSON.parse(source);
  } catch {
    // Not the parser's words: they quote the text, which may hold a token.
    throw new Problem('invalid-json', `${what} is not valid JSON`);
  }
}

function refused(code: ProblemCode, field: string, message: string): Problem {
  return new Problem(code, `${field}: ${message}`, { errors: [{ field, message }] });
}

function shortened(path: string): string {
  return path.length <= 80 ? path : `${path.slice(0, 80)}…`;
}

type Defect =
  | { readonly kind: 'field'; readonly at: number; readonly message: string }
  | { readonly kind: 'depth'; readonly at: number }
  | { readonly kind: 'values' };

/** Looks over a text once. What is no JSON at all is left to the parser. */
class Scanner {
  readonly #text: string;
  /** Names of the objects that are open; undefined for lists. */
  readonly #open: (Set<string> | undefined)[] = [];
  #values = 0;
  /** Where the item that is open begins: a field of the whole, or a part of a list that is such a field. */
  #itemStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** All of it at once. */
  defect(): Defect | undefined {
    const looks = this.looks();
    for (;;) {
      const look = looks.next();
      if (look.done === true) return look.value;
    }
  }

  /** A part of it at a time; what is wrong with it comes last. */
  *looks(): Generator<void, Defect | undefined> {
    const text = this.#text;
    let pauseAt = lookLength;
    for (let at = 0; at < text.length; at++) {
      if (at >= pauseAt) {
        pauseAt = at + lookLength;
        yield;
      }
      switch (text.charCodeAt(at)) {
        case 0x22: {
          const end = endOfString(text, at);
          const defect = this.#textDefect(at, end);
          if (defect !== undefined) return defect;
          this.#values += 1;
          at = end;
          break;
        }
        case 0x5b:
        case 0x7b:
          if (this.#open.length === maxDepth) return { kind: 'depth', at };
          if (this.#isItem(text.charCodeAt(at) === 0x7b)) this.#itemStart = at;
          this.#open.push(text.charCodeAt(at) === 0x7b ? new Set() : undefined);
          this.#values += 1;
          break;
        case 0x5d:
        case 0x7d:
          this.#open.pop();
          if (this.#isItem(text.charCodeAt(at) === 0x7d) && at - this.#itemStart > maxItemLength) {
            return { kind: 'field', at: this.#itemStart, message: tooLong(maxItemLength) };
          }
          break;
        // How `true`, `false` and `null` begin.
        case 0x74:
        case 0x66:
        case 0x6e:
          this.#values += 1;
          break;
        default: {
          const code = text.charCodeAt(at);
          if (code < 0x30 || code > 0x39) break;
          const end = endOfNumber(text, at);
          if (end - at > maxNumberLength) return { kind: 'field', at, message: tooLong(maxNumberLength) };
          this.#values += 1;
          if (!isExact(text.slice(at, end))) {
            return { kind: 'field', at, message: 'is a number whose digits would be lost; send it as text' };
          }
          at = end - 1;
        }
      }
      if (this.#values > maxValues) return { kind: 'values' };
    }
    return undefined;
  }

  /** Whether a value here is an object that is a field of the whole, or a part of a list that is such a field. */
  #isItem(isObject: boolean): boolean {
    const depth = this.#open.length;
    return depth === 1 ? isObject : depth === 2 && this.#open[1] === undefined;
  }

  /** A text is a name where an object is open and a colon follows. */
  #textDefect(at: number, end: number): Defect | undefined {
    const long = end - at > maxTextLength ? tooLong(maxTextLength) : undefined;
    const names = this.#open.at(-1);
    if (names === undefined || !isNameBefore(this.#text, end)) {
      return long === undefined ? undefined : { kind: 'field', at, message: long };
    }
    let after = end + 1;
    while (this.#text.charCodeAt(after) !== 0x3a) after += 1;
    if (long !== undefined) return { kind: 'field', at: after, message: `has a name that ${long}` };
    const name = unescaped(this.#text.slice(at, end + 1));
    const message =
      name === '__proto__' ? 'cannot be used as a name' : names.has(name) ? 'is there twice' : undefined;
    names.add(name);
    return message === undefined ? undefined : { kind: 'field', at: after, message };
  }
}

function tooLong(limit: number): string {
  return `is longer than ${limit} characters`;
}

/** Where the closing quote is. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

function endOfNumber(text: string, start: number): number {
  let at = start;
  while (at < text.length && isOfNumber(text.charCodeAt(at))) at += 1;
  return at;
}

/** Digits, `+`, `-`, `.`, `e` and `E`. */
function isOfNumber(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x65 ||
    code === 0x45
  );
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function unescaped(text: string): string {
  if (!text.includes('\\')) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}

/**
 * Whether a number is written again with the same digits. Whole ones that are too large are left to the fields, each of
 * which says what it takes.
 */
function isExact(text: string): boolean {
  if (/^\d+$/.test(text) || (text.length <= safeDigits && /^[\d.]*$/.test(text))) return true;
  return decimal(text) === decimal(String(Number(text)));
}

/** Digits and exponent of a number, without zeros that say nothing. */
function decimal(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  return significant === ''
    ? '0'
    : `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/** Path of the value at a place in a text, such as `notifications[3].custom.id`. */
function pathAt(text: string, place: number): string {
  const path: (string | number)[] = [];
  for (let at = 0; at < place; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      const end = endOfString(text, at);
      if (typeof path.at(-1) === 'string' && isNameBefore(text, end))
        path[path.length - 1] = unescaped(text.slice(at, Math.min(end + 1, at + maxTextLength)));
      at = end;
    } else if (code === 0x7b) path.push('');
    else if (code === 0x5b) path.push(0);
    else if (code === 0x7d || code === 0x5d) path.pop();
    else if (code === 0x2c) {
      const last = path.at(-1);
      if (typeof last === 'number') path[path.length - 1] = last + 1;
    }
  }
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${shortened(part)}`))
    .join('');
}

function isNameBefore(text: string, end: number): boolean {
  let after = end + 1;
  while (isSpace(text.charCodeAt(after))) after += 1;
  return text.charCodeAt(after) === 0x3a;
}
