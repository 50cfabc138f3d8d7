import { expect } from 'vitest';
import type { Transport, Verdict } from '../src/index.ts';
import { FakeClock } from './fake-clock.ts';
import { Observed } from './observed.ts';
import { RecordedRun, type RunContent } from './recorded-run.ts';

/** A gateway without a network, as far as it is the same on both protocols. */
export interface ScheduledGateway<Socket> {
  /** Connections that are neither closed nor broken. */
  readonly live: readonly Socket[];
  /** By token: how often it was taken. */
  readonly taken: ReadonlyMap<string, number>;
  /** Tokens that it calls invalid. */
  readonly invalid: Set<string>;
  /** Everything that is under way arrives, and is answered. */
  flow(): void;
}

/** Steps that are the same on both protocols. */
export type CommonStep =
  | { readonly do: 'submit'; readonly count: number; readonly invalid: readonly number[] }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'flow' }
  | { readonly do: 'deliver'; readonly socket: number; readonly bytes: number };

/** A transport to a gateway without a network, in which nothing happens by itself. */
export abstract class Schedule<Step, Socket extends { deliver(bytes: number): void }> {
  readonly clock = new FakeClock();
  readonly observed = new Observed();
  readonly runs: RecordedRun[] = [];
  abstract readonly gateway: ScheduledGateway<Socket>;
  abstract readonly transport: Transport;

  /** One thing that network, kernel, gateway, time, operator or worker does. */
  protected abstract act(next: Step): void;
  /** What is submitted in one turn goes out in the next. */
  abstract turn(): Promise<void>;

  protected actAlike(next: CommonStep): void {
    switch (next.do) {
      case 'submit':
        this.submit(next.count, next.invalid);
        break;
      case 'advance':
        this.clock.advance(next.ms);
        break;
      case 'flow':
        this.gateway.flow();
        break;
      case 'deliver':
        this.socket(next.socket)?.deliver(next.bytes);
        break;
      default:
        next satisfies never;
    }
  }

  async take(steps: Iterable<Step>): Promise<void> {
    for (const next of steps) {
      this.act(next);
      await this.turn();
    }
  }

  submit(count: number, invalid: readonly number[] = [], content: Partial<RunContent> = {}): RecordedRun {
    const run = new RecordedRun({ count, seed: this.runs.length + 1, ...content });
    for (const position of invalid) if (position < count) this.gateway.invalid.add(run.token(position));
    this.runs.push(run);
    this.transport.submit(run);
    return run;
  }

  /** From now on nothing goes wrong. */
  async calm(until: () => boolean): Promise<void> {
    // Longer than everything that waits for a deadline.
    for (let round = 0; round < 20_000 && !until(); round++) {
      this.gateway.flow();
      this.clock.advance(100);
      await this.turn();
    }
    const { state, inFlight } = this.transport;
    expect(until(), `${JSON.stringify(state)}, ${inFlight} in flight`).toBe(true);
  }

  /** Has the transport drain; says whether it has. */
  drain(deadlineMs: number): () => boolean {
    let isDrained = false;
    void this.transport.drain(deadlineMs).then(() => {
      isDrained = true;
    });
    return () => isDrained;
  }

  /** What was accepted was taken, what was not was not, and nothing was taken twice but what was sent again in doubt. */
  expectIdentity(): void {
    for (const run of this.runs) {
      expect(run.twice).toEqual([]);
      for (const [position, settlement] of run.settlements.entries()) {
        const times = this.gateway.taken.get(run.token(position)) ?? 0;
        const fact = `position ${position}, taken ${times} times, is ${JSON.stringify(settlement)}`;
        const possible = possibleTimes(settlement);
        const resent = run.resends[position]!;
        if (settlement?.kind === 'unprocessed') expect(resent, fact).toBe(0);
        expect(times, fact).toBeGreaterThanOrEqual(Math.min(...possible));
        expect(times, fact).toBeLessThanOrEqual(Math.max(...possible) + resent);
      }
    }
  }

  /** Nothing is left: no notification, no connection, no timer. */
  expectOver(): void {
    expect(this.transport.state).toEqual({ kind: 'closed' });
    expect(this.transport.inFlight).toBe(0);
    this.expectIdentity();
    expect(this.clock.pending).toBe(0);
    expect(this.gateway.live).toEqual([]);
  }

  protected socket(index: number): Socket | undefined {
    const { live } = this.gateway;
    return live[index % Math.max(1, live.length)];
  }
}

/** How often a notification with this outcome may have been taken. */
function possibleTimes(settlement: Verdict | undefined): readonly number[] {
  switch (settlement?.kind) {
    case 'accepted':
      return [1];
    case 'rejected':
    case 'retryable':
    case 'unprocessed':
      return [0];
    case 'uncertain':
      return [0, 1];
    default:
      // Nothing here expires, and nothing may stay open.
      return [];
  }
}
