import type { ChaosFault } from './fault.ts';
import { type ChaosApp, transportOf } from './memory.ts';

/** What happened to the fleet, and when. Times are epoch ms. */
export interface ChaosEvent extends Pick<ChaosFault, 'name' | 'leavesDoubt' | 'transport'> {
  readonly fromMs: number;
  toMs: number;
}

/** Notifications that were received so long before it began may be in doubt still: a rotation and its proof. */
const beforeMs = 17_000;
/** What it breaks may take so long to be whole again: an answer's deadline of 30 s, and the next connection. */
const afterMs = 33_000;

/** The record of a run: what a double is explained by. */
export class Timeline {
  readonly events: ChaosEvent[] = [];
  readonly #startMs = Date.now();

  /** Records a fault for as long as `action` runs. */
  async record(fault: ChaosFault, action: () => Promise<void>): Promise<void> {
    const { name, leavesDoubt, transport } = fault;
    const event = { name, leavesDoubt, transport, fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY };
    this.events.push(event);
    try {
      await action();
    } finally {
      event.toMs = Date.now();
    }
  }

  /** The event that can have doubled a notification of an app that was first received at this time; the nearest one. */
  explain(app: ChaosApp, receivedMs: number): ChaosEvent | undefined {
    let nearest: ChaosEvent | undefined;
    let nearestMs = Number.POSITIVE_INFINITY;
    for (const event of this.events) {
      if (!event.leavesDoubt) continue;
      if (event.transport !== undefined && event.transport !== transportOf(app)) continue;
      if (receivedMs < event.fromMs - beforeMs || receivedMs > event.toMs + afterMs) continue;
      const distanceMs = Math.max(0, event.fromMs - receivedMs, receivedMs - event.toMs);
      if (distanceMs < nearestMs) [nearest, nearestMs] = [event, distanceMs];
    }
    return nearest;
  }

  /** What happened around a time, a line each: the history that a reader of a failure needs. */
  around(atMs: number): string[] {
    return this.events
      .filter(({ fromMs, toMs }) => fromMs - beforeMs < atMs && atMs < toMs + afterMs)
      .map(({ name, fromMs, toMs }) => `${this.#at(fromMs)} to ${this.#at(toMs)}: ${name}`);
  }

  #at(ms: number): string {
    return Number.isFinite(ms) ? `${((ms - this.#startMs) / 1_000).toFixed(1)} s` : 'the end';
  }
}

/** Doubles of one app by the event that explains them. */
export type DoublesByCause = Readonly<Record<ChaosApp, Readonly<Record<string, number>>>>;
