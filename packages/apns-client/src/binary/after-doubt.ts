import type { NotificationCommand } from '@pushfleet/apns-wire';
import { spreadMs } from '../transport/backoff.ts';
import { countOf, type Span } from '../transport/span.ts';
import type { SpanQueue } from '../transport/span-queue.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import type { SlowStart } from './slow-start.ts';

// What becomes of frames in doubt that are sent again (onUncertain: resend), and what may be written meanwhile.
//
// A connection that ends without a word has one of three reasons: the network or the gateway had a moment; the gateway
// takes so many frames of a connection and no more; or one frame made it hang up, which is all that command 0 ever says
// of a bad token. Which one it was shows by sending again, a small burst at a time:
// - what passes grows (slow-start.ts);
// - frames in doubt for the second time (on command 0 for the first) are suspected: they go by halves, until what makes
//   the gateway hang up stands alone. Alone and cut again, while others pass, it is the offender;
// - frames that were in doubt twice with nothing passing in between are set aside until something else passes. When
//   nothing does, all is handed back: no frame goes out a third time to a gateway that takes nothing.

export type DoubtDecision =
  /** They wait to be sent again. */
  | { readonly kind: 'again' }
  /** The gateway hangs up on this one frame, and not on others. */
  | { readonly kind: 'offender'; readonly offender: Span }
  /** The gateway takes nothing: everything is to be handed back, and the next try is to wait. */
  | { readonly kind: 'nothing-passes'; readonly pauseMs: number; readonly reason: string };

/** After this many single frames in a row that are cut, while nothing passes, it is not the frames. */
const loneCutsBeforeGivingUp = 8;
/** How long the gateway is left alone when nothing passes, milliseconds: doubling with each try. */
const shortestPauseMs = 1_000;
const longestPauseMs = 30_000;
/** Frames that were alone when their connection ended, remembered by token. */
const mostStruck = 1_000;

export class AfterDoubt {
  readonly pace: SlowStart;
  readonly #queue: SpanQueue;
  readonly #command: NotificationCommand;
  #aside: Span[] = [];
  /** How many frames at the front of the queue are suspected. */
  #suspected = 0;
  /** What had passed when they were in doubt. */
  #suspectedSince = 0;
  /** Nothing waits but what was set aside, and it goes once more, each frame alone. Ends when something passes. */
  #isLastRound = false;
  /** Bursts and windows that have settled well, ever. */
  #passes = 0;
  #hasPassed = false;
  #loneCuts = 0;
  /** How often all was handed back, since something passed. */
  #givenUp = 0;
  /** Since it was left alone. */
  #hasAnswered = false;
  /**
   * Tokens of frames that were alone when their connection ended, as hashes: what had passed when suspicion fell on them
   * alone.
   */
  readonly #struck = new Map<number, number>();

  constructor(queue: SpanQueue, command: NotificationCommand, pace: SlowStart) {
    this.#queue = queue;
    this.#command = command;
    this.pace = pace;
  }

  /** Frames that wait until something else has passed. */
  get setAside(): number {
    return countOf(this.#aside);
  }

  /** Frames that may be written now; infinite while nothing is in doubt. */
  get room(): number {
    const { burst, written } = this.pace;
    // By halves; one that is left of them goes alone.
    const half = this.#suspected === 0 ? burst : Math.ceil(this.#suspected / 2);
    return Math.min(burst, this.#isLastRound ? 1 : half) - written;
  }

  /**
   * The frame that goes next is the only one there is, and was alone when its connection ended: it should be written on a
   * connection that has shown that it stays open otherwise.
   */
  get needsQuiet(): boolean {
    return this.#suspected === 1 && this.#struck.size > 0 && this.#queue.size === 1;
  }

  takeAside(): Span[] {
    const aside = this.#aside;
    this.#aside = [];
    this.#suspected = 0;
    return aside;
  }

  /** Nothing passed, and the gateway has not answered since: it should be asked before a notification is spent on it. */
  get shouldAsk(): boolean {
    return this.#givenUp > 0 && !this.#hasAnswered && this.#command !== 0;
  }

  /** The gateway has answered a known-bad frame, or left the connection open: one notification may try. */
  answered(): void {
    this.#hasAnswered = true;
  }

  /** The gateway has decided about a notification. */
  decided(): void {
    this.#givenUp = 0;
  }

  /** The gateway took these. */
  passed(run: TrackedRun, from: number, to: number): void {
    this.#passes++;
    this.#hasPassed = true;
    this.#isLastRound = false;
    this.#loneCuts = 0;
    this.#givenUp = 0;
    if (this.#struck.size === 0) return;
    for (let position = from; position < to; position++) this.#struck.delete(hashOfToken(run, position));
  }

  /** The burst under way is over without doubt. @param settled Frames that its connection has settled in all */
  burstPassed(settled: number, nowMs: number): void {
    this.#suspected = Math.max(0, this.#suspected - this.pace.written);
    this.pace.passed(settled, nowMs);
  }

  /** Puts what was set aside back in front, once something else has passed. To be called between two bursts. */
  bringBack(): void {
    if (this.#aside.length === 0) return;
    if (!this.#hasPassed) {
      if (this.#queue.size > 0 || !this.#mayTryAlone(this.#aside)) return;
      this.#isLastRound = true;
    }
    const aside = this.takeAside();
    this.#queue.unshift(aside);
    this.#suspect(countOf(aside));
  }

  /** A connection ended with these in doubt: puts them where they are to wait, and says what follows. */
  judge(uncertain: readonly Span[], end: ConnectionEnd, settled: number, nowMs: number): DoubtDecision {
    const count = countOf(uncertain);
    const isRepeated = uncertain.some(wasInDoubt);
    const hadPassed = this.#hasPassed;
    const isHangUp = hangUps.has(end);
    const [first] = uncertain as [Span];
    // The others that were in doubt with it have passed since.
    const isLastSuspect = this.#suspected === 1;
    this.#hasPassed = false;
    this.#suspected = 0;
    this.pace.doubted(count, settled, nowMs);
    for (const { run, from, to } of uncertain) run.doubt(from, to, end, this.#passes);
    if (this.#givenUp > 0) return this.#giveUp(uncertain, end);
    const isAlone = count === 1 && isHangUp;
    const wasStruck = isAlone && this.#struck.has(hashOfToken(first.run, first.from));
    // A gateway that has begun to hang up on everything hangs up on good frames too, each alone and as often as it is
    // sent: what passes in between tells the two apart.
    if (wasStruck && this.#isCleared(first)) return { kind: 'offender', offender: first };
    if (isAlone) this.#strike(first, isLastSuspect ? this.#suspectedSince : this.#passes);
    if (hadPassed || !isRepeated) {
      // Others first, where there are any: what passes meanwhile shows that it is not the gateway.
      if (isAlone && isRepeated && this.#queue.size > 0) this.#aside.push(...uncertain);
      else this.#sendAgain(uncertain, isHangUp && (isRepeated || this.#command === 0) ? count : 0);
      return { kind: 'again' };
    }
    if (isAlone) this.#loneCuts++;
    if (!isHangUp || this.#loneCuts >= loneCutsBeforeGivingUp) return this.#giveUp(uncertain, end);
    if (this.#queue.size === 0 && !this.#mayTryAlone([...this.#aside, ...uncertain])) {
      return this.#giveUp(uncertain, end);
    }
    this.#aside.push(...uncertain);
    return { kind: 'again' };
  }

  #sendAgain(uncertain: readonly Span[], suspected: number): void {
    this.#queue.unshift(uncertain);
    this.#suspect(suspected);
  }

  /** Suspects the first frames of the queue. */
  #suspect(frames: number): void {
    this.#suspected = frames;
    this.#suspectedSince = this.#passes;
  }

  /** Where nothing else waits: whether each of these may go once more, since others have passed after they were in doubt. */
  #mayTryAlone(spans: readonly Span[]): boolean {
    return !this.#isLastRound && this.#othersPassed(spans);
  }

  #othersPassed(spans: readonly Span[]): boolean {
    return spans.every(({ run, from, to }) => {
      for (let position = from; position < to; position++) {
        if (run.passesAtFirstDoubt(position) >= this.#passes) return false;
      }
      return true;
    });
  }

  #giveUp(uncertain: readonly Span[], end: ConnectionEnd): DoubtDecision {
    this.#queue.unshift([...uncertain, ...this.takeAside()]);
    const ceilingMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** this.#givenUp);
    this.#givenUp = Math.min(this.#givenUp + 1, 10);
    this.#hasAnswered = false;
    const reason =
      end === 'proof-timeout'
        ? 'the gateway answers no known-bad frame: nothing can be proved'
        : `the gateway takes nothing: every connection ends in doubt (${end})`;
    return { kind: 'nothing-passes', pauseMs: spreadMs(ceilingMs, 0.75, 1), reason };
  }

  /** Whether something else has passed since suspicion fell on the frame alone. */
  #isCleared({ run, from }: Span): boolean {
    return this.#passes > (this.#struck.get(hashOfToken(run, from)) ?? this.#passes);
  }

  /** Notes that a frame was alone when its connection ended. @param since What had passed when it was suspected. */
  #strike({ run, from }: Span, since: number): void {
    const token = hashOfToken(run, from);
    if (this.#struck.has(token)) return;
    if (this.#struck.size >= mostStruck) this.#struck.delete(this.#struck.keys().next().value!);
    this.#struck.set(token, since);
  }
}

/** Ends by which a gateway may mean one frame; a stall is about none. */
const hangUps: ReadonlySet<ConnectionEnd> = new Set([
  'gateway-closed',
  'reset',
  'write-error',
  'error-response',
]);

function wasInDoubt({ run, from, to }: Span): boolean {
  for (let position = from; position < to; position++) if (run.doubtsOf(position) > 0) return true;
  return false;
}

/** FNV-1a. */
function hashOfToken({ columns: { tokens, tokenOffsets } }: TrackedRun, position: number): number {
  let hash = 0x811c9dc5;
  for (let at = tokenOffsets[position]!; at < tokenOffsets[position + 1]!; at++) {
    hash = Math.imul(hash ^ tokens[at]!, 0x01000193);
  }
  return hash;
}
