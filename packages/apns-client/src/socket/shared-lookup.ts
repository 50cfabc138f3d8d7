import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/**
 * Looks names up anew each time, but one name once at a time: calls that come while an answer is awaited get the same.
 * A look-up takes one of libuv's few threads for as long as it lasts, so that hundreds of apps with one gateway whose
 * name server is silent would otherwise hold up the look-ups of all others.
 *
 * Of several addresses each call gets another one first, so that connections are spread over them.
 */
export function createSharedLookup(base: LookupFunction = lookup as LookupFunction): LookupFunction {
  type Answer = Parameters<Parameters<LookupFunction>[2]>;
  const waiting = new Map<string, ((...answer: Answer) => void)[]>();
  const turns = new Map<string, number>();
  const inTurn = (host: string, [error, addresses, family]: Answer): Answer => {
    if (error !== null || !Array.isArray(addresses) || addresses.length < 2)
      return [error, addresses, family];
    const turn = turns.get(host) ?? 0;
    turns.set(host, turn + 1);
    return [error, rotate(addresses, turn), family];
  };
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
      for (const answerCaller of callers) answerCaller(...inTurn(host, answer));
    });
  };
}

/** Another first of those of the family that the system prefers; the others stay behind it, in case that it is not reached. */
function rotate(addresses: readonly LookupAddress[], turn: number): LookupAddress[] {
  const preferred = addresses.filter(({ family }) => family === addresses[0]!.family);
  const others = addresses.filter(({ family }) => family !== addresses[0]!.family);
  const first = turn % preferred.length;
  return [...preferred.slice(first), ...preferred.slice(0, first), ...others];
}

/** For all connections of the process. */
export const sharedLookup = createSharedLookup();
