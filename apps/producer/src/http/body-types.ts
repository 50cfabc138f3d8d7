import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BodyBudget, BodyShare } from './body-budget.ts';
import { parseJsonChunks } from './parse-json.ts';
import { Problem } from './problem.ts';
import { readBody, tooLarge } from './read-body.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that announces a body. */
    bodyShare: BodyShare | undefined;
  }
}

/** For the whole of a body of JSON, milliseconds. */
const usualTimeoutMs = 60_000;

export interface JsonBodyOptions {
  readonly budget: BodyBudget;
  /** For the whole of a body, milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** Reads bodies of `application/json` as they were written. */
export function readJsonBodies(
  app: FastifyInstance,
  { budget, timeoutMs = usualTimeoutMs }: JsonBodyOptions,
): void {
  app.decorateRequest('bodyShare', undefined);
  app.addHook('preParsing', (request, reply, _source, done) => {
    if (hasBody(request)) {
      const share = budget.open(request.grant.keyId ?? '');
      request.bodyShare = share;
      // Until the answer: what became of the body is in memory as long. Also when the client goes away.
      reply.raw.once('close', () => share.release());
    }
    done();
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, source: Readable) => {
    checkEncoding(request);
    const limit = request.routeOptions.bodyLimit;
    if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
    if (request.bodyShare === undefined) throw new Problem('invalid-json', 'the body is empty');
    const chunks = await readBody(source, { limit, share: request.bodyShare, timeoutMs });
    if (chunks.length === 0) throw new Problem('invalid-json', 'the body is empty');
    return parseJsonChunks(chunks);
  });
}

/** Whether a body is announced; whether it has come is `complete` of the raw request, which also says so of none. */
export function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Charsets whose bytes are those of UTF-8. */
const utf8Charsets: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/** Bodies are read as UTF-8, and as they come: another charset and any compression are refused. @throws Problem */
export function checkEncoding({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') {
    throw unsupported('Content-Encoding', 'must be left out: bodies are taken uncompressed');
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && !utf8Charsets.has(charset)) {
    throw unsupported('Content-Type', 'must name the charset utf-8, or none');
  }
}

function unsupported(field: string, message: string): Problem {
  return new Problem('unsupported-media-type', `${field}: ${message}`, { errors: [{ field, message }] });
}
