import { z } from 'zod';
import { Problem } from '../http/problem.ts';
import { userId } from '../schemas/notification-schemas.ts';
import type { SourceRecord } from './read-records.ts';

const lineSchema = z.union([userId, z.object({ userId })]);
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
  const parsed = lineSchema.safeParse(isText ? fields[0] : parseJson(line, fields[0]!));
  if (!parsed.success) throw invalidLine(line, 'is no user id');
  return typeof parsed.data === 'string' ? parsed.data : parsed.data.userId;
}

function parseJson(line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidLine(line, 'is not JSON');
  }
}

function invalidLine(line: number, message: string): Problem {
  return new Problem('invalid-request', `line ${line}: ${message}`, {
    errors: [{ field: `line ${line}`, message }],
  });
}
