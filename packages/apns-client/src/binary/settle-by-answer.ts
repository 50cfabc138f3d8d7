import { type ErrorResponse, ErrorStatus, unknownIdentifier } from '@pushfleet/apns-wire';
import type { Span } from '../span.ts';
import type { ConnectionEnd } from '../transport.ts';
import type { ConnectionClosure } from './connection-closure.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import { type ShutdownIdentifier, statusMeaning } from './status-policy.ts';

export interface AnswerContext {
  /** Identifier of the known-bad frame that was written last; unknown (0) when there is none. */
  readonly knownBad: number;
  /** How a connection ends whose known-bad frame is answered. */
  readonly provedEnd: ConnectionEnd;
  readonly shutdownIdentifier: ShutdownIdentifier;
}

/**
 * What an error response says of everything that was written on its connection
 * (`docs/protocol/binary.md#error-response`): the free confirmation of all before the frame that it names, and the
 * end of all after it. Empties the window, unless nothing can be derived: then what is left in it is uncertain.
 */
export function settleByAnswer(
  window: InFlightWindow,
  { status, identifier }: ErrorResponse,
  { knownBad, provedEnd, shutdownIdentifier }: AnswerContext,
): Omit<ConnectionClosure, 'uncertain' | 'unconfirmed' | 'settled'> {
  const meaning = statusMeaning(status, shutdownIdentifier);
  const answer = { status, meaning, understood: true, wronglyPresumed: 0 };
  // The sandbox has answered the known-bad frame with identifier 0.
  const isProof =
    knownBad !== unknownIdentifier &&
    (identifier === knownBad ||
      (identifier === unknownIdentifier && status === ErrorStatus.missingDeviceToken));
  if (isProof) {
    return { end: provedEnd, detail: 'proved', answer, proved: window.takeAll(), unprocessed: [] };
  }
  const closure = { end: 'error-response', detail: `status ${status}, identifier ${identifier}` } as const;
  switch (window.locate(identifier)) {
    case 'unknown':
      // Nothing can be derived: not even which frames came after.
      return { ...closure, answer: { ...answer, understood: false }, proved: [], unprocessed: [] };
    case 'settled': {
      // Silence has settled it, and perhaps some that came after it: too soon, unless it says that it was taken.
      const wronglyPresumed = window.settledAfter(identifier) + (meaning === 'accepted' ? 0 : 1);
      const unprocessed = window.takeAll();
      return { ...closure, answer: { ...answer, wronglyPresumed }, proved: [], unprocessed };
    }
    case 'in-flight': {
      const proved: Span[] = [];
      window.takeBefore(identifier, (run, from, to) => proved.push({ run, from, to }));
      const named = window.takeOldest();
      return { ...closure, answer, proved, named, unprocessed: window.takeAll() };
    }
  }
}
