import { StringDecoder } from 'node:string_decoder';

/** A line of a file, or why it cannot be read. */
export interface SourceRecord {
  /** From 1. */
  readonly line: number;
  /** Of NDJSON and plain text the line, of CSV its fields. */
  readonly fields: readonly string[];
  readonly error?: string;
}

/** A record that is longer is no record. */
const maxRecordLength = 64 * 1024;

/** Lines of text, blank ones left out; at most `maxRecordLength` of the file are in memory at once. */
export async function* readLines(source: AsyncIterable<Buffer>): AsyncGenerator<SourceRecord> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let line = 1;
  let isSkipping = false;
  for await (const chunk of source) {
    const parts = (rest + decoder.write(chunk)).split('\n');
    rest = parts.pop()!;
    for (const part of parts) {
      if (isSkipping) isSkipping = false;
      else yield* record(line, part);
      line += 1;
    }
    if (rest.length <= maxRecordLength) continue;
    if (!isSkipping) yield tooLong(line);
    isSkipping = true;
    rest = '';
  }
  rest += decoder.end();
  if (!isSkipping) yield* record(line, rest);
}

function* record(line: number, part: string): Generator<SourceRecord> {
  const text = (line === 1 && part.startsWith('\ufeff') ? part.slice(1) : part).trim();
  if (text === '') return;
  yield part.length > maxRecordLength ? tooLong(line) : { line, fields: [text] };
}

function tooLong(line: number): SourceRecord {
  return { line, fields: [], error: `is longer than ${maxRecordLength} characters` };
}

/** Records of CSV (RFC 4180); fields in quotes may hold commas, quotes and line ends. */
export async function* readCsv(source: AsyncIterable<Buffer>): AsyncGenerator<SourceRecord> {
  const decoder = new StringDecoder('utf8');
  const parser = new CsvParser();
  for await (const chunk of source) yield* parser.push(decoder.write(chunk));
  yield* parser.push(decoder.end());
  yield* parser.end();
}

class CsvParser {
  #fields: string[] = [];
  #field = '';
  #quoted: 'no' | 'inside' | 'closed' = 'no';
  #line = 1;
  #startLine = 1;
  #length = 0;
  #error: string | undefined;

  *push(text: string): Generator<SourceRecord> {
    for (const character of text) {
      if (character === '\ufeff' && this.#line === 1 && this.#length === 0) continue;
      this.#length += 1;
      const record = this.#take(character);
      if (record !== undefined) yield record;
    }
  }

  *end(): Generator<SourceRecord> {
    if (this.#quoted === 'inside') this.#error = 'ends within quotes';
    const record = this.#finish();
    if (record !== undefined) yield record;
  }

  #take(character: string): SourceRecord | undefined {
    if (character === '\n') this.#line += 1;
    if (this.#length > maxRecordLength) {
      this.#error = `is longer than ${maxRecordLength} characters`;
      this.#field = '';
      this.#fields = [];
      this.#quoted = 'no';
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
    else if (character === '\n') return this.#finish();
    else if (character === '"' && this.#field === '' && this.#quoted === 'no') this.#quoted = 'inside';
    else if (this.#quoted === 'closed' && character !== '\r') this.#error = 'has text after a closing quote';
    else this.#field += character;
    return undefined;
  }

  #endField(): void {
    this.#fields.push(this.#field);
    this.#field = '';
    this.#quoted = 'no';
  }

  #finish(): SourceRecord | undefined {
    if (this.#field.endsWith('\r')) this.#field = this.#field.slice(0, -1);
    this.#endField();
    const fields = this.#fields;
    const error = this.#error;
    const line = this.#startLine;
    this.#fields = [];
    this.#error = undefined;
    this.#length = 0;
    this.#startLine = this.#line;
    if (error !== undefined) return { line, fields: [], error };
    const isBlank = fields.length === 1 && fields[0]!.trim() === '';
    return isBlank ? undefined : { line, fields };
  }
}
