import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseJsonBytes } from './parse-json.ts';
import { Problem } from './problem.ts';

/** Reads bodies of `application/json` as they were written. */
export function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    try {
      checkEncoding(request);
      if (bytes.length === 0) throw new Problem('invalid-json', 'the body is empty');
      done(null, parseJsonBytes(bytes as Buffer));
    } catch (error) {
      done(error as Error);
    }
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
