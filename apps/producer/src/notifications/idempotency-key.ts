import { Problem } from '../http/problem.ts';

const field = 'Idempotency-Key';

/**
 * Reads the header of draft-ietf-httpapi-idempotency-key-header: text in quotes, and bare as most clients send it.
 * @throws Problem
 */
export function readIdempotencyKey(header: string | readonly string[]): string {
  const text = typeof header === 'string' ? header.trim() : '';
  const key = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  const message = 'must be 1 to 255 visible characters of ASCII without spaces';
  throw new Problem('invalid-notification', `${field}: ${message}`, { errors: [{ field, message }] });
}
