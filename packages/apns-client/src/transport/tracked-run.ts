import type { NotificationColumns } from '@pushfleet/apns-wire';
import type { ConnectionEnd, Lease, NotificationRun, OutcomeSink, Verdict } from './transport.ts';
import { uncertainBy, unprocessed } from './verdicts.ts';

/** Notifications handed over to a transport and not settled yet. */
export interface Tally {
  inFlight: number;
}

/**
 * A run inside the transport. Every settling call goes through here, so that the tally is right by the time the sink
 * hears of it.
 */
export class TrackedRun {
  readonly columns: NotificationColumns;
  /** The earliest time at which one of its notifications expires, epoch seconds; infinite when none does. */
  readonly earliestExpiration: number;
  readonly #sink: OutcomeSink;
  readonly #lease: Lease | undefined;
  readonly #tally: Tally;
  /** By position: how often it was in doubt and stayed with the transport, and since when. Absent while nothing was. */
  #doubts: { readonly times: Uint8Array; readonly firstAt: Uint32Array } | undefined;
  #lastDoubt: ConnectionEnd = 'gateway-closed';

  constructor(run: NotificationRun, tally: Tally) {
    this.columns = run.columns;
    this.#sink = run.sink;
    this.#lease = run.lease;
    this.#tally = tally;
    this.earliestExpiration = earliestOf(run.columns);
    tally.inFlight += run.columns.count;
  }

  /** From then on nothing of it may be written, by `Clock.now()`. */
  get leaseUntilMs(): number {
    return this.#lease?.untilMs ?? Number.POSITIVE_INFINITY;
  }

  written(from: number, to: number): void {
    this.#sink.written(from, to);
  }

  settled(from: number, to: number, verdict: Verdict): void {
    this.#tally.inFlight -= to - from;
    this.#sink.settled(from, to, verdict);
  }

  /**
   * Notes that the gateway may have had them, although they stay with the transport to be sent again.
   * @param passes How much had passed by then, as the caller counts.
   */
  doubt(from: number, to: number, cause: ConnectionEnd, passes: number): void {
    const { count } = this.columns;
    this.#doubts ??= { times: new Uint8Array(count), firstAt: new Uint32Array(count) };
    this.#lastDoubt = cause;
    const { times, firstAt } = this.#doubts;
    for (let position = from; position < to; position++) {
      if (times[position] === 0) firstAt[position] = passes;
      if (times[position]! < 255) times[position]! += 1;
    }
  }

  /** How often a position was in doubt and stayed with the transport. */
  doubtsOf(position: number): number {
    return this.#doubts?.times[position] ?? 0;
  }

  /** How much had passed when a position was in doubt for the first time, as the caller of `doubt` counts. */
  passesAtFirstDoubt(position: number): number {
    return this.#doubts?.firstAt[position] ?? 0;
  }

  /** The verdict is still to come. */
  resent(from: number, to: number, cause: ConnectionEnd): void {
    this.#sink.resent?.(from, to, cause);
  }

  /** Hands back what waits, as unprocessed. What was in doubt before is in doubt still: that comes back as uncertain. */
  handBack(from: number, to: number): void {
    let start = from;
    while (start < to) {
      const isDoubtful = this.doubtsOf(start) > 0;
      let end = this.#doubts === undefined ? to : start + 1;
      while (end < to && this.doubtsOf(end) > 0 === isDoubtful) end++;
      this.settled(start, end, isDoubtful ? uncertainBy[this.#lastDoubt] : unprocessed);
      start = end;
    }
  }
}

function earliestOf({ count, expirations }: NotificationColumns): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (let position = 0; position < count; position++) {
    const expiration = expirations[position]!;
    if (expiration !== 0 && expiration < earliest) earliest = expiration;
  }
  return earliest;
}
