import { type ErrorResponse, ErrorStatus, unknownIdentifier } from '@pushfleet/apns-wire';
import type { Closure } from '../transport/connections.ts';
import type { Span } from '../transport/span.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import { type ShutdownIdentifier, type StatusMeaning, statusMeaning } from './status-policy.ts';

/** How a connection ended, and what becomes of everything that was in its window: each frame in exactly one place. */
export interface BinaryClosure extends Closure {
  /** It ended in the silence after its handshake. */
  readonly wasSilent: boolean;
  readonly answer?: ClosingAnswer;
  /** Taken by the gateway. All lists are in the order of writing. */
  readonly proved: readonly Span[];
  /** The frame that the error response names; undefined when it was settled before, or is none of ours. */
  readonly named?: Span;
  /** Discarded by the gateway: to be sent again, before anything newer. */
  readonly unprocessed: readonly Span[];
  /** Frames that silence had settled, when the known-bad frame that asked for them was never answered. */
  readonly unconfirmed: number;
  /** Frames that were settled while the connection lived. */
  readonly settled: number;
  /** How long after the kernel had taken the named frame the error response came, milliseconds. */
  readonly lagMs?: number;
}

/** What an error response decides. */
type AnsweredClosure = Pick<BinaryClosure, 'end' | 'detail' | 'answer' | 'proved' | 'named' | 'unprocessed'>;

/** The error response that ended a connection. */
interface ClosingAnswer {
  readonly status: number;
  /** What the status says of the named frame. */
  readonly meaning: StatusMeaning;
  /** It named a frame of this connection, or answered its known-bad frame: the gateway understands us. */
  readonly understood: boolean;
  /** Notifications that silence had settled as accepted, and that were refused or discarded. */
  readonly wronglyPresumed: number;
}

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
): AnsweredClosure {
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
