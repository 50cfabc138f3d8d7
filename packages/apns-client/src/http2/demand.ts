import {
  type ConnectionBounds,
  type ConnectionLoad,
  connectionsWanted,
} from '../transport/connections-wanted.ts';
import type { ConnectionNeed } from '../transport/transport.ts';
import { AnswerTimes } from './answer-times.ts';

export interface DemandOptions extends ConnectionBounds {
  /** How long fewer connections must have been enough before those beyond are closed, milliseconds. */
  readonly shrinkAfterMs: number;
}

/** What the connections look like at a moment. */
export interface ConnectionsInUse {
  readonly serving: number;
  readonly waiting: number;
  readonly underWay: number;
  readonly roundTripMs: number | undefined;
  /** What there is too little of, where something waits. */
  readonly lack: Exclude<ConnectionNeed, 'least' | 'reserved'>;
}

/**
 * A gateway may serve each connection slowly, and more of them faster: once something has waited for so long, half as many
 * more are tried, and left open where the rate rises with at least half of them. Milliseconds; the pause after one that
 * gained nothing is doubled with each.
 */
const trial = { afterMs: 2_000, factor: 1.5, pauseMs: 60_000, longestPauseMs: 600_000 };

/** How long no more connections are opened after one in vain, milliseconds; doubled with each in a row. */
const growthPause = { firstMs: 1_000, longestMs: 60_000 };

/** How many connections are wanted, over time: rises with a backlog, and falls after a quiet time. Knows no clock. */
export class Demand {
  /** What answers take since the connections became more. */
  readonly answerTimes = new AnswerTimes();
  readonly #options: DemandOptions;
  #wanted: number;
  #need: ConnectionNeed = 'least';
  #waitsSinceMs: number | undefined;
  #serving = 0;
  #perConnection: number | undefined;
  #mostUnderWay = 0;
  /** Since when fewer would have been enough, and how many at most. */
  #quiet: { readonly sinceMs: number; most: number } | undefined;
  /** What there was before half as many more were opened to see whether they carry more. Answers a millisecond. */
  #trial: { readonly serving: number; readonly rate: number } | undefined;
  #trialPauseMs = trial.pauseMs;
  #noTrialBeforeMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(options: DemandOptions) {
    this.#options = options;
    this.#wanted = options.least;
  }

  get wanted(): number {
    return this.#wanted;
  }

  /** Why so many. */
  get need(): ConnectionNeed {
    return this.#need;
  }

  /** Whether connections may be opened that add to others. */
  mayGrow(nowMs: number): boolean {
    return nowMs >= this.#notBeforeMs;
  }

  /** A connection that was to add to others served nothing. */
  grewInVain(nowMs: number): void {
    this.#failures++;
    const { firstMs, longestMs } = growthPause;
    this.#notBeforeMs = nowMs + Math.min(longestMs, firstMs * 2 ** Math.min(this.#failures - 1, 10));
  }

  /** Everything that can be written has been: sees what is left, and whether more connections are wanted. */
  look(use: ConnectionsInUse, nowMs: number): void {
    const { serving, waiting, underWay } = use;
    this.#mostUnderWay = Math.max(this.#mostUnderWay, underWay);
    if (serving > this.#serving) {
      this.#failures = 0;
      this.#beginAnew(nowMs);
    }
    this.#serving = serving;
    if (waiting === 0) {
      this.#waitsSinceMs = undefined;
      this.#trial = undefined;
      return;
    }
    if (this.#waitsSinceMs === undefined) this.#beginAnew(nowMs);
    const wanted = connectionsWanted(this.#load(use, nowMs), this.#options);
    if (wanted > Math.max(this.#wanted, serving)) {
      this.#trial = undefined;
      this.#raise(wanted, use);
    } else if (serving > 0 && serving >= this.#wanted) {
      this.#try(use, nowMs);
    }
  }

  /** To be called now and then, after `look`: wants fewer once they have been enough for a while. */
  tick(use: ConnectionsInUse, nowMs: number): void {
    const underWay = Math.max(this.#mostUnderWay, use.underWay);
    this.#mostUnderWay = 0;
    if (use.waiting > 0) {
      this.#quiet = undefined;
      return;
    }
    const enough = connectionsWanted({ ...this.#load(use, nowMs), underWay }, this.#options);
    if (enough >= this.#wanted) {
      this.#quiet = undefined;
      return;
    }
    this.#quiet ??= { sinceMs: nowMs, most: 0 };
    this.#quiet.most = Math.max(this.#quiet.most, enough);
    if (nowMs - this.#quiet.sinceMs < this.#options.shrinkAfterMs) return;
    this.#wanted = this.#quiet.most;
    this.#quiet = undefined;
    if (this.#wanted === this.#options.least) this.#need = 'least';
  }

  #raise(wanted: number, { serving, underWay, lack }: ConnectionsInUse): void {
    this.#wanted = wanted;
    this.#need = lack;
    this.#perConnection = Math.max(1, underWay / serving);
    this.#quiet = undefined;
  }

  /** The distance asks for no more: ends a trial that is due to be judged, and begins one where it may. */
  #try(use: ConnectionsInUse, nowMs: number): void {
    const { serving } = use;
    const waitedMs = nowMs - (this.#waitsSinceMs ?? nowMs);
    if (waitedMs < trial.afterMs || this.answerTimes.count === 0) return;
    const rate = this.answerTimes.count / waitedMs;
    const before = this.#trial;
    this.#trial = undefined;
    if (before !== undefined && serving > before.serving) {
      if (rate < (before.rate * (1 + serving / before.serving)) / 2) {
        this.#wanted = before.serving;
        this.#noTrialBeforeMs = nowMs + this.#trialPauseMs;
        this.#trialPauseMs = Math.min(trial.longestPauseMs, 2 * this.#trialPauseMs);
        this.#beginAnew(nowMs);
        return;
      }
      this.#trialPauseMs = trial.pauseMs;
    }
    const more = Math.min(this.#options.most, Math.ceil(serving * trial.factor));
    if (more === serving || nowMs < this.#noTrialBeforeMs) return;
    this.#trial = { serving, rate };
    this.#raise(more, use);
  }

  #load(use: ConnectionsInUse, nowMs: number): ConnectionLoad {
    return {
      ...use,
      waitedMs: nowMs - (this.#waitsSinceMs ?? nowMs),
      perConnection: this.#perConnection,
      answerMs: this.answerTimes.meanMs,
    };
  }

  #beginAnew(nowMs: number): void {
    this.#waitsSinceMs = nowMs;
    this.answerTimes.startAnew();
  }
}
