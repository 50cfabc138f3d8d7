import type { onRequestHookHandler } from 'fastify';
import { Problem } from './problem.ts';

export interface BodyBudgetOptions {
  /** Bytes of bodies that may be under way at once, those that are small left out. */
  readonly maxBytes: number;
  /** A body of unknown length counts as this long. */
  readonly bodyLimit: number;
}

/** Smaller bodies are not counted: they are many, and add up to little. */
const smallBytes = 256 * 1024;

/**
 * Bounds the memory that large bodies take together: beyond it a request is told to come again before its body is
 * read. What is larger than all the room is let in when nothing else is under way.
 */
export function limitBodies({ maxBytes, bodyLimit }: BodyBudgetOptions): onRequestHookHandler {
  let underWay = 0;
  return (request, reply, done) => {
    const length = request.headers['content-length'];
    const bytes = length === undefined ? bodyLimit : Number(length);
    // Over the limit: refused by its length, not by the room.
    if (!(bytes > smallBytes) || bytes > bodyLimit) {
      done();
      return;
    }
    if (underWay > 0 && underWay + bytes > maxBytes) {
      done(
        new Problem('backpressure', `${underWay} bytes of requests are under way; ${maxBytes} are allowed`),
      );
      return;
    }
    underWay += bytes;
    // Also when the client goes away in the middle of its body.
    reply.raw.once('close', () => {
      underWay -= bytes;
    });
    done();
  };
}
