import { type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/**
 * Looks names up anew each time, but one name once at a time: calls that come while an answer is awaited get the same.
 * A look-up takes one of libuv's few threads for as long as it lasts, so that hundreds of apps with one gateway whose
 * name server is silent would otherwise hold up the look-ups of all others.
 */
export function createSharedLookup(base: LookupFunction = lookup as LookupFunction): LookupFunction {
  type Answer = Parameters<Parameters<LookupFunction>[2]>;
  const waiting = new Map<string, ((...answer: Answer) => void)[]>();
  return (host: string, options: LookupOptions, callback) => {
    const { family, hints, all } = options;
    const question = `${host} ${family ?? 0} ${hints ?? 0} ${all === true}`;
    const others = waiting.get(question);
    if (others !== undefined) {
      others.push(callback);
      return;
    }
    const callers = [callback];
    waiting.set(question, callers);
    base(host, options, (...answer) => {
      waiting.delete(question);
      for (const answerCaller of callers) answerCaller(...answer);
    });
  };
}

/** For all connections of the process. */
export const sharedLookup = createSharedLookup();
