import { z } from 'zod';
import { parseJson } from '../http/parse-json.ts';
import { Problem } from '../http/problem.ts';
import { userId } from '../schemas/notification-schemas.ts';
import type { SourceRecord } from './read-records.ts';

const lineSchema = z.union([userId, z.strictObject({ userId })]);
const chunkSize = 5_000;

/** User ids of a list. It counts whole or not at all, so a line that is not right is an error. @throws Problem */
export async function* readUserIds(
  records: AsyncIterable<SourceRecord>,
  isText: boolean,
): AsyncGenerator<string[]> {
  let chunk: string[] = [];
  let count = 0;
  for await (const record of records) {
    chunk.push(parseLine(record, isText));
    count += 1;
    if (chunk.length < chunkSize) continue;
    yield chunk;
    chunk = [];
  }
  if (count === 0) throw new Problem('invalid-request', 'body: has no user');
  yield chunk;
}

function parseLine({ line, fields, error }: SourceRecord, isText: boolean): string {
  if (error !== undefined) throw invalidLine(line, error);
  const parsed = lineSchema.safeParse(isText ? fields[0] : parseJsonLine(line, fields[0]!));
  if (!parsed.success) throw invalidLine(line, 'is no user id');
  return typeof parsed.data === 'string' ? parsed.data : parsed.data.userId;
}

function parseJsonLine(line: number, text: string): unknown {
  try {
    return parseJson(text, 'the line');
  } catch (error) {
    const [first] = error instanceof Problem ? error.errors : [];
    throw invalidLine(line, first === undefined ? 'is not JSON' : `${first.field} ${first.message}`);
  }
}

function invalidLine(line: number, message: string): Problem {
  return new Problem('invalid-request', `line ${line}: ${message}`, {
    errors: [{ field: `line ${line}`, message }],
  });
}
