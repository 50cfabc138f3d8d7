import type { NotificationColumns } from '@pushfleet/apns-wire';
import type {
  Certainty,
  ConnectionEnd,
  GatewayAnswer,
  Lease,
  NotificationRun,
  OutcomeSink,
} from './transport.ts';

/** What a transport has taken and not settled yet. */
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

  accepted(from: number, to: number, certainty: Certainty): void {
    this.#tally.inFlight -= to - from;
    this.#sink.accepted(from, to, certainty);
  }

  rejected(position: number, answer: GatewayAnswer): void {
    this.#tally.inFlight -= 1;
    this.#sink.rejected(position, answer);
  }

  retryable(position: number, answer: GatewayAnswer): void {
    this.#tally.inFlight -= 1;
    this.#sink.retryable(position, answer);
  }

  uncertain(from: number, to: number, cause: ConnectionEnd): void {
    this.#tally.inFlight -= to - from;
    this.#sink.uncertain(from, to, cause);
  }

  /** The outcome is still to come. */
  resent(from: number, to: number, cause: ConnectionEnd): void {
    this.#sink.resent?.(from, to, cause);
  }

  expired(from: number, to: number): void {
    this.#tally.inFlight -= to - from;
    this.#sink.expired(from, to);
  }

  unprocessed(from: number, to: number): void {
    this.#tally.inFlight -= to - from;
    this.#sink.unprocessed(from, to);
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
