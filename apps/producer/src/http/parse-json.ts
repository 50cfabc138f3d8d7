import { isUtf8 } from 'node:buffer';
import { Turns } from '../turns.ts';
import { type Defect, JsonDefectError, JsonScanner, maxDepth, maxValues } from './json-scanner.ts';
import { LargeJson } from './large-json.ts';
import { Problem } from './problem.ts';
import { utf8Pieces } from './utf8-pieces.ts';

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
