import { isUtf8 } from 'node:buffer';
import { Turns } from '../turns.ts';
import { type Defect, JsonDefectError, JsonScanner, maxDepth, maxValues } from './json-scanner.ts';
import { LargeJson } from './large-json.ts';
import { Problem } from './problem.ts';

// JSON as it was written, or refused: what JSON.parse would change without a word (bytes that are not UTF-8, a name
// that is there twice, digits that a number does not hold) is named by its field. Depth is counted before anything is
// parsed, so that nothing that walks a value can run out of stack.

/** Bodies beyond it are read part by part. */
const largeBytes = 128 * 1024;

/** @param chunks As they came. @throws Problem `invalid-json`, or `invalid-request` with the field */
export async function parseJsonChunks(chunks: readonly Buffer[]): Promise<unknown> {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (length <= largeBytes) {
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length);
    return parseJson(textOf(bytes), 'the body');
  }
  const turns = new Turns();
  const json = new LargeJson();
  let isFirst = true;
  for (const piece of utf8Pieces(chunks)) {
    // Others have their turn between two pieces.
    await turns.next();
    const text = textOf(piece);
    orInvalid(() => json.add(isFirst ? withoutMark(text) : text));
    isFirst = false;
  }
  return orInvalid(() => json.end());
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Problem('invalid-json', 'the body is not UTF-8');
  return bytes.toString('utf8');
}

/** @param what Names the text in errors. @throws Problem as `parseJsonChunks` */
export function parseJson(text: string, what: string): unknown {
  return orInvalid(() => {
    const source = withoutMark(text);
    new JsonScanner().look(source, true);
    return JSON.parse(source) as unknown;
  }, what);
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function orInvalid<T>(parse: () => T, what = 'the body'): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof JsonDefectError) throw problemOf(error.defect, what);
    // Not the parser's words: they quote the text, which may hold a token.
    if (error instanceof SyntaxError) throw new Problem('invalid-json', `${what} is not valid JSON`);
    throw error;
  }
}

function problemOf(defect: Defect, what: string): Problem {
  switch (defect.kind) {
    case 'field':
      return refused(defect.field, defect.message);
    case 'depth':
      return refused(defect.field, `is nested more than ${maxDepth} deep`);
    case 'values': {
      const message = `has more than ${maxValues} values; send fewer at once`;
      return new Problem('invalid-request', `${what} ${message}`, { errors: [{ field: 'body', message }] });
    }
    default:
      return defect satisfies never;
  }
}

function refused(path: string, message: string): Problem {
  const field = path === '' ? 'body' : path;
  return new Problem('invalid-request', `${field}: ${message}`, { errors: [{ field, message }] });
}

/** Bytes of a piece, about: looked over and parsed in well under a millisecond. */
const pieceBytes = 64 * 1024;

/** The same bytes in pieces of one size, however they came. No character of UTF-8 is in two of them. */
function* utf8Pieces(chunks: readonly Buffer[]): Generator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + pieceBytes - bytes);
      from += part.length;
      bytes += part.length;
      parts.push(part);
      if (bytes < pieceBytes) continue;
      const piece = Buffer.concat(parts, bytes);
      const end = endOfCharacters(piece);
      yield piece.subarray(0, end);
      parts = end === bytes ? [] : [piece.subarray(end)];
      bytes -= end;
    }
  }
  if (bytes > 0) yield Buffer.concat(parts, bytes);
}

/** Where a last character begins that is not whole, else the end. */
function endOfCharacters(bytes: Buffer): number {
  for (let length = 1; length <= 3; length++) {
    const byte = bytes[bytes.length - length]!;
    // A byte that continues a character.
    if (byte >> 6 === 0b10) continue;
    const due = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return due > length ? bytes.length - length : bytes.length;
  }
  return bytes.length;
}
