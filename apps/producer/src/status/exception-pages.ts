import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

// Exceptions as the API gives them: page by page as JSON, or all at once as CSV or NDJSON.

type ExceptionFormat = 'json' | 'csv' | 'ndjson';

/** Some exceptions in order, and the cursor after which there are more; null: there are none. */
export interface ExceptionPage<Exception, Cursor> {
  readonly exceptions: Exception[];
  readonly next: Cursor | null;
}

export interface ExceptionList<Exception, Cursor> {
  /** Of a file that is downloaded, without its ending. */
  readonly name: string;
  /** In the order of the CSV. */
  readonly columns: readonly (keyof Exception & string)[];
  read(after: Cursor, limit: number): Promise<ExceptionPage<Exception, Cursor>>;
}

interface Wanted<Cursor> {
  readonly after: Cursor;
  /** Of a page as JSON. */
  readonly limit: number;
  readonly format?: ExceptionFormat | undefined;
}

type Value = string | number | undefined;

/** Exceptions that are read at once for CSV and NDJSON. */
const pageSize = 2_000;

/** Returns a page, or streams all that follow, in the format that is named or accepted. */
export async function answerExceptions<Exception extends object, Cursor>(
  request: FastifyRequest,
  reply: FastifyReply,
  list: ExceptionList<Exception, Cursor>,
  wanted: Wanted<Cursor>,
): Promise<ExceptionPage<Exception, Cursor>> {
  const { after, limit, format = acceptedFormat(request.headers.accept) } = wanted;
  if (format === 'json') return list.read(after, limit);
  // The first page before the head of the answer, so that a database that is away is a problem and not half a file.
  const pages = allPages(list, await list.read(after, pageSize));
  const isCsv = format === 'csv';
  void reply.type(isCsv ? 'text/csv; charset=utf-8' : 'application/x-ndjson');
  if (isCsv) void reply.header('content-disposition', `attachment; filename="${list.name}.csv"`);
  const lines = isCsv ? toCsv(pages, list.columns) : toNdjson(pages);
  return reply.serializer((value: unknown) => value as string).send(Readable.from(lines)) as never;
}

async function* allPages<Exception, Cursor>(
  { read }: ExceptionList<Exception, Cursor>,
  first: ExceptionPage<Exception, Cursor>,
): AsyncGenerator<Exception[]> {
  let page = first;
  yield page.exceptions;
  while (page.next !== null) {
    page = await read(page.next, pageSize);
    yield page.exceptions;
  }
}

async function* toNdjson(pages: AsyncGenerator<object[]>): AsyncGenerator<string> {
  for await (const page of pages) yield page.map((exception) => `${JSON.stringify(exception)}\n`).join('');
}

async function* toCsv<Exception extends object>(
  pages: AsyncGenerator<Exception[]>,
  columns: readonly (keyof Exception & string)[],
): AsyncGenerator<string> {
  yield `${columns.join(',')}\r\n`;
  for await (const page of pages) {
    const lines = page.map((exception) =>
      columns.map((name) => csvField(exception[name] as Value)).join(','),
    );
    yield lines.map((line) => `${line}\r\n`).join('');
  }
}

/** RFC 4180. No value can begin a formula: reasons are the gateway's words or ours. */
function csvField(value: Value): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function acceptedFormat(accept: string | undefined): ExceptionFormat {
  if (accept?.includes('text/csv')) return 'csv';
  return accept?.includes('application/x-ndjson') ? 'ndjson' : 'json';
}
