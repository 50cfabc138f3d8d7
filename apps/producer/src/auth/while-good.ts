import type { FastifyRequest } from 'fastify';
import { Problem } from '../http/problem.ts';
import type { KeyRequirement } from './require-keys.ts';

// A request may go on for an hour: what it may do ends with its key.

/** Whether the key of a request that is under way is good still. */
export function isStillGood(keys: KeyRequirement | undefined, { headers }: FastifyRequest): boolean {
  return keys === undefined || keys.keyRing.isGood(headers.authorization);
}

/** @throws Problem `unauthorized` */
export function checkStillGood(keys: KeyRequirement | undefined, request: FastifyRequest): void {
  if (isStillGood(keys, request)) return;
  throw new Problem('unauthorized', 'the key has expired, or has been revoked');
}

/** What comes of a body as long as its key is good. @throws Problem `unauthorized` */
export async function* whileGood(
  keys: KeyRequirement | undefined,
  request: FastifyRequest,
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    checkStillGood(keys, request);
    yield chunk;
  }
}
