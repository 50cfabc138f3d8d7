import { isUtf8 } from 'node:buffer';
import { Problem } from '../http/problem.ts';
import { Turns } from '../turns.ts';

// Bytes are looked at one by one as characters of the same codes: what parts records and fields is ASCII, and no byte
// of a longer character of UTF-8 is. Text becomes text only when its bytes are known to be UTF-8: a record that is not
// is an error, so that no two names ever become one.

/** A record of a file, or why it cannot be read. */
export interface SourceRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  /** How many lines it takes. */
  readonly lines: number;
  /** Of NDJSON and plain text the line, of CSV its fields. */
  readonly fields: readonly string[];
  /** Of CSV: which fields were in quotes. */
  readonly quoted?: readonly boolean[];
  readonly error?: string;
}

/** A record that is longer is no record. */
const maxRecordLength = 64 * 1024;

/** Lines of text, blank ones left out; at most `maxRecordLength` of the file are in memory at once. */
export function readLines(source: AsyncIterable<Buffer>): AsyncGenerator<SourceRecord> {
  return read(source, new LineReader());
}

/** Records of CSV (RFC 4180); fields in quotes may hold commas, quotes and line ends. */
export function readCsv(source: AsyncIterable<Buffer>): AsyncGenerator<SourceRecord> {
  return read(source, new CsvReader());
}

interface RecordReader {
  /** Takes a character; lines end with LF alone. */
  take(character: string): SourceRecord | undefined;
  end(): SourceRecord | undefined;
}

/** Bytes that are looked at without a look at the time. */
const pieceBytes = 4 * 1024;

async function* read(source: AsyncIterable<Buffer>, reader: RecordReader): AsyncGenerator<SourceRecord> {
  let start: Buffer | undefined = Buffer.alloc(0);
  let afterReturn = false;
  const turns = new Turns();
  for await (const chunk of source) {
    let bytes = chunk;
    if (start !== undefined) {
      start = Buffer.concat([start, chunk]);
      if (start.length < 3) continue;
      bytes = withoutMark(start);
      start = undefined;
    }
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      await turns.next();
      for (const character of bytes.toString('latin1', from, Math.min(from + pieceBytes, bytes.length))) {
        // CR LF is one line end, CR or LF alone too.
        const isFeed = character === '\n';
        if (isFeed && afterReturn) {
          afterReturn = false;
          continue;
        }
        afterReturn = character === '\r';
        const record = reader.take(afterReturn ? '\n' : character);
        if (record === undefined) continue;
        // What is done with a record counts too: it is done before the next one is asked for.
        if (turns.isOver) await turns.next();
        yield record;
      }
    }
  }
  if (start !== undefined) {
    for (const character of withoutMark(start).toString('latin1')) {
      const record = reader.take(character === '\r' ? '\n' : character);
      if (record !== undefined) yield record;
    }
  }
  const last = reader.end();
  if (last !== undefined) yield last;
}

/** Without the mark that some programs put before UTF-8. @throws Problem for what is not text */
function withoutMark(start: Buffer): Buffer {
  const [first, second, third] = start;
  if (first === 0xef && second === 0xbb && third === 0xbf) return start.subarray(3);
  // By its mark, or by the zeros that every other byte of it is.
  const isUtf16 =
    (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first === 0 || second === 0;
  if (isUtf16) throw new Problem('unsupported-media-type', 'body: is UTF-16; send it as UTF-8');
  if (packed.some((mark) => mark.every((byte, at) => start[at] === byte))) {
    throw new Problem('unsupported-media-type', 'body: is compressed, or a spreadsheet; send it as text');
  }
  return start;
}

/** How gzip, ZIP and with it spreadsheets, Zstandard, bzip2 and XZ begin. */
const packed = [
  [0x1f, 0x8b],
  [0x50, 0x4b, 0x03],
  [0x28, 0xb5, 0x2f],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a],
];

const notUtf8 = 'is not UTF-8';

/** Blanks and tabs alone: other characters that look like them tell one name from another. */
export function withoutBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Text of bytes that were read as characters; undefined: they are not UTF-8. */
function textOf(characters: string): string | undefined {
  if (isAscii(characters)) return characters;
  const bytes = Buffer.from(characters, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

function isAscii(characters: string): boolean {
  for (let at = 0; at < characters.length; at++) if (characters.charCodeAt(at) > 0x7f) return false;
  return true;
}

class LineReader implements RecordReader {
  #text = '';
  #line = 1;

  take(character: string): SourceRecord | undefined {
    if (character === '\n') return this.end();
    if (this.#text.length <= maxRecordLength) this.#text += character;
    return undefined;
  }

  end(): SourceRecord | undefined {
    const head = { line: this.#line, lines: 1 };
    const characters = this.#text;
    this.#text = '';
    this.#line += 1;
    if (characters.length > maxRecordLength) return { ...head, fields: [], error: tooLong };
    const text = textOf(characters);
    if (text === undefined) return { ...head, fields: [], error: notUtf8 };
    const trimmed = withoutBlanks(text);
    return trimmed === '' ? undefined : { ...head, fields: [trimmed] };
  }
}

const tooLong = `is longer than ${maxRecordLength} characters`;

class CsvReader implements RecordReader {
  #fields: string[] = [];
  #quotedFields: boolean[] = [];
  #field = '';
  #quoted: 'no' | 'inside' | 'closed' = 'no';
  #line = 1;
  #startLine = 1;
  #length = 0;
  #error: string | undefined;

  take(character: string): SourceRecord | undefined {
    const isLineEnd = character === '\n';
    if (isLineEnd) this.#line += 1;
    this.#length += 1;
    if (this.#length > maxRecordLength) {
      // Read on at the next line: what is between is passed over, and said to be.
      this.#error ??= this.#quoted === 'inside' ? openQuote : tooLong;
      this.#field = '';
      this.#fields = [];
      this.#quotedFields = [];
      this.#quoted = 'no';
      return isLineEnd ? this.#finish() : undefined;
    }
    if (this.#quoted === 'inside') {
      if (character === '"') this.#quoted = 'closed';
      else this.#field += character;
      return undefined;
    }
    if (this.#quoted === 'closed' && character === '"') {
      this.#field += '"';
      this.#quoted = 'inside';
      return undefined;
    }
    if (character === ',') this.#endField();
    else if (isLineEnd) return this.#finish();
    else if (character === '"' && this.#field === '' && this.#quoted === 'no') this.#quoted = 'inside';
    else if (this.#quoted === 'closed') this.#error ??= 'has text after a closing quote';
    else if (character === '"') this.#error ??= 'has a quote in a field that does not begin with one';
    else this.#field += character;
    return undefined;
  }

  end(): SourceRecord | undefined {
    if (this.#quoted === 'inside') this.#error ??= openQuote;
    this.#line += 1;
    return this.#finish();
  }

  #endField(): void {
    const text = textOf(this.#field);
    if (text === undefined) this.#error ??= notUtf8;
    this.#fields.push(text ?? '');
    this.#quotedFields.push(this.#quoted !== 'no');
    this.#field = '';
    this.#quoted = 'no';
  }

  /** The line that follows has begun. */
  #finish(): SourceRecord | undefined {
    this.#endField();
    const fields = this.#fields;
    const quoted = this.#quotedFields;
    const error = this.#error;
    const head = { line: this.#startLine, lines: this.#line - this.#startLine };
    this.#fields = [];
    this.#quotedFields = [];
    this.#error = undefined;
    this.#length = 0;
    this.#startLine = this.#line;
    if (error !== undefined) return { ...head, fields: [], error: error + rangeOf(head) };
    const isBlank = fields.length === 1 && withoutBlanks(fields[0]!) === '' && !quoted[0];
    return isBlank ? undefined : { ...head, fields, quoted };
  }
}

const openQuote = 'has a quote that is not closed';

/** A quote that is one too many swallows the lines up to the next. */
function rangeOf({ line, lines }: Pick<SourceRecord, 'line' | 'lines'>): string {
  return lines === 1 ? '' : `: lines ${line} to ${line + lines - 1} were read as one, and are passed over`;
}
