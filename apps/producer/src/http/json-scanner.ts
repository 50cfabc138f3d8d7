/** Deeper than the deepest request: a payload may be nested 64 deep, in a notification of a list. */
export const maxDepth = 100;

/** Values and names in a text: 5,000 notifications have 200 each, more than a payload usually holds. */
export const maxValues = 1_000_000;

/** Longest text or name, and longest number, characters as they are written. */
const maxTextLength = 64 * 1024;
const maxNumberLength = 1_000;

/** Longest notification of a list, or field of a body, characters as they are written: ten times a payload. */
const maxItemLength = 64 * 1024;

/** Most digits that a number holds whatever they are. */
const safeDigits = 15;

/** Names of one object that are looked through one by one; more are put in a set. */
const fewNames = 12;

/** What JSON.parse would change without a word, and what is more than may be parsed. */
export type Defect =
  | { readonly kind: 'field'; readonly field: string; readonly message: string }
  | { readonly kind: 'depth'; readonly field: string }
  | { readonly kind: 'values' };

export class JsonDefectError extends Error {
  readonly defect: Defect;

  constructor(defect: Defect) {
    super('JSON that is not to be parsed');
    this.defect = defect;
  }
}

function defectOf(field: string, message: string): JsonDefectError {
  return new JsonDefectError({ kind: 'field', field, message });
}

/** Looks over a text once, whole or part by part. What is no JSON at all is left to the parser. */
export class JsonScanner {
  /** What is open, the outermost first: whether it is an object, and the names or the place so far. */
  readonly #isObject: boolean[] = [];
  readonly #names: (string[] | Set<string> | undefined)[] = [];
  readonly #path: (string | number)[] = [];
  /** In an object: a name comes next, and no value. */
  #expectsName = false;
  #values = 0;
  /** Characters of parts that are looked over. */
  #before = 0;
  /** Where the item that is open begins: a field of the whole, or a part of a list that is such a field. */
  #itemStart: number | undefined;
  readonly #cuts: Cuts = { isList: false, fieldStart: undefined, list: undefined, listEnd: undefined };

  /**
   * Looks over the next part, and gives how many characters of it: the others begin something, and are to come again
   * with more. @throws JsonDefectError
   */
  look(text: string, isLast: boolean): number {
    this.#cuts.listEnd = undefined;
    let at = 0;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      switch (code) {
        case 0x22: {
          const end = endOfString(text, at);
          if (end === text.length && !isLast && end - at <= maxTextLength) return this.#pause(at);
          this.#values += 1;
          this.#text(text, at, end);
          at = end;
          break;
        }
        case 0x5b:
        case 0x7b:
          this.#values += 1;
          this.#enter(code === 0x7b, at);
          break;
        case 0x5d:
        case 0x7d:
          this.#leave(code === 0x7d, at);
          break;
        case 0x2c:
          this.#next(at);
          break;
        // How `true`, `false` and `null` begin.
        case 0x74:
        case 0x66:
        case 0x6e:
          this.#values += 1;
          break;
        default: {
          if (code < 0x30 || code > 0x39) break;
          const end = endOfNumber(text, at);
          if (end === text.length && !isLast && end - at <= maxNumberLength) return this.#pause(at);
          this.#values += 1;
          this.#number(text, at, end);
          at = end - 1;
        }
      }
      if (this.#values > maxValues) throw new JsonDefectError({ kind: 'values' });
    }
    if (!isLast) this.#checkItem(text.length);
    return this.#pause(text.length);
  }

  /** Where what has been looked over can be cut, characters from the beginning of the whole. */
  get cuts(): Readonly<Cuts> {
    return this.#cuts;
  }

  #pause(taken: number): number {
    this.#before += taken;
    return taken;
  }

  #enter(isObject: boolean, at: number): void {
    const depth = this.#isObject.length;
    if (depth === maxDepth) throw new JsonDefectError({ kind: 'depth', field: shortened(this.#field()) });
    if (this.#isItem(isObject)) this.#itemStart = this.#before + at;
    if (depth === 0) this.#cuts.isList ||= !isObject;
    if (depth === 1 && !isObject) {
      const start = this.#before + at + 1;
      this.#cuts.list = { name: String(this.#path[0]), start, itemStart: start };
    }
    this.#isObject.push(isObject);
    this.#names.push(undefined);
    this.#path.push(isObject ? '' : 0);
    this.#expectsName = isObject;
  }

  #leave(isObject: boolean, at: number): void {
    this.#isObject.pop();
    this.#names.pop();
    this.#path.pop();
    this.#expectsName = false;
    if (this.#isObject.length === 1 && this.#cuts.list !== undefined) {
      this.#cuts.list = undefined;
      this.#cuts.listEnd ??= this.#before + at;
    }
    if (!this.#isItem(isObject)) return;
    this.#checkItem(at);
    this.#itemStart = undefined;
  }

  #checkItem(at: number): void {
    if (this.#itemStart === undefined || this.#before + at - this.#itemStart <= maxItemLength) return;
    // Of what is in it nothing is told.
    throw defectOf(this.#field(this.#isObject[1] === false ? 2 : 1), tooLong(maxItemLength));
  }

  /** After a comma. */
  #next(at: number): void {
    const depth = this.#isObject.length;
    const isObject = this.#isObject[depth - 1] === true;
    if (isObject) this.#expectsName = true;
    else if (depth > 0) this.#path[depth - 1] = (this.#path[depth - 1] as number) + 1;
    if (depth === 1) this.#cuts.fieldStart = this.#before + at + 1;
    else if (depth === 2 && this.#cuts.list !== undefined) this.#cuts.list.itemStart = this.#before + at + 1;
  }

  /** Whether a value here is an object that is a field of the whole, or a part of a list that is such a field. */
  #isItem(isObject: boolean): boolean {
    const depth = this.#isObject.length;
    return depth === 1 ? isObject : depth === 2 && this.#isObject[1] === false;
  }

  #text(text: string, at: number, end: number): void {
    const isLong = end - at > maxTextLength;
    const depth = this.#isObject.length;
    if (!this.#expectsName || this.#isObject[depth - 1] !== true) {
      if (isLong) throw defectOf(this.#field(), tooLong(maxTextLength));
      return;
    }
    this.#expectsName = false;
    const name = unescaped(text.slice(at, Math.min(end + 1, at + maxTextLength)));
    this.#path[depth - 1] = name;
    if (isLong) throw defectOf(this.#field(), `has a name that ${tooLong(maxTextLength)}`);
    if (name === '__proto__') throw defectOf(this.#field(), 'cannot be used as a name');
    if (!this.#addName(name)) throw defectOf(this.#field(), 'is there twice');
  }

  /** False: the object has such a name already. */
  #addName(name: string): boolean {
    const depth = this.#names.length;
    const names = this.#names[depth - 1];
    if (names === undefined) {
      this.#names[depth - 1] = [name];
      return true;
    }
    if (names instanceof Set) return !names.has(name) && names.add(name) !== undefined;
    if (names.includes(name)) return false;
    if (names.push(name) > fewNames) this.#names[depth - 1] = new Set(names);
    return true;
  }

  #number(text: string, at: number, end: number): void {
    if (end - at > maxNumberLength) throw defectOf(this.#field(), tooLong(maxNumberLength));
    const isMinusZero = text.charCodeAt(at - 1) === 0x2d && /^[0.]+(?:[eE]|$)/.test(text.slice(at, end));
    if (!isMinusZero && isExact(text.slice(at, end))) return;
    throw defectOf(this.#field(), 'is a number whose digits would be lost; send it as text');
  }

  /** Path of the value that is looked at, such as `notifications[3].custom.id`. */
  #field(depth = this.#path.length): string {
    return this.#path
      .slice(0, depth)
      .map((part, at) =>
        typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${shortened(part)}`,
      )
      .join('');
  }
}

/** Places where a text can be cut, characters from its beginning. */
interface Cuts {
  /** The whole is a list. */
  isList: boolean;
  /** Where the field begins that is not whole yet; undefined: it is the first. */
  fieldStart: number | undefined;
  /** The list that is a field of the whole and is open: where it begins, and its item that is not whole yet. */
  list: { readonly name: string; readonly start: number; itemStart: number } | undefined;
  /** Where the first such list ends that ended in the last part. */
  listEnd: number | undefined;
}

function shortened(path: string): string {
  return path.length <= 80 ? path : `${path.slice(0, 80)}…`;
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
