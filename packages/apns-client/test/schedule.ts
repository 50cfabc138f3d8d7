import { expect } from 'vitest';
import { BinaryTransport } from '../src/binary/binary-transport.ts';
import { resolveOptions } from '../src/binary/binary-transport-options.ts';
import type { BinaryTransportOptions } from '../src/index.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeGateway, type FakeSocket } from './fake-gateway.ts';
import { Observed, TestCredential } from './gateway-test.ts';
import { RecordedRun, type RunContent } from './recorded-run.ts';

/** One thing that network, kernel, gateway, time, operator or worker does. */
export type Step =
  | { readonly do: 'submit'; readonly count: number; readonly invalid: readonly number[] }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'renew' }
  | { readonly do: 'flow' }
  | { readonly do: 'deliver'; readonly socket: number; readonly bytes: number }
  | { readonly do: 'refuseNext'; readonly socket: number; readonly status: number }
  | {
      readonly do: 'accept' | 'take' | 'read' | 'close' | 'break' | 'failWrites' | 'shutDown' | 'sayUnknown';
      readonly socket: number;
    };

/** A transport to a gateway without a network, in which nothing happens by itself. */
export class Schedule {
  readonly clock = new FakeClock();
  readonly gateway = new FakeGateway();
  readonly observed = new Observed();
  readonly credential = new TestCredential({ cert: '', key: '' });
  readonly runs: RecordedRun[] = [];
  readonly transport: BinaryTransport;

  constructor(options: Partial<BinaryTransportOptions> & { readonly firstIdentifier?: number } = {}) {
    this.transport = new BinaryTransport({
      ...resolveOptions({
        host: 'gateway.test',
        port: 2195,
        credential: this.credential,
        confirm: 'proved',
        confirmAfterMs: 1_000,
        rotationFloorMs: 500,
        clock: this.clock,
        observer: this.observed.observer,
        ...options,
      }),
      ...(options.firstIdentifier === undefined ? {} : { firstIdentifier: options.firstIdentifier }),
      openSocket: this.gateway.openSocket,
    });
  }

  async take(next: Step): Promise<void> {
    switch (next.do) {
      case 'submit':
        this.submit(next.count, next.invalid);
        break;
      case 'advance':
        this.clock.advance(next.ms);
        break;
      case 'renew':
        this.credential.renew({ cert: '', key: '' });
        break;
      case 'flow':
        this.gateway.flow();
        break;
      case 'sayUnknown':
        this.socket(next.socket)?.say(8, 0);
        break;
      case 'refuseNext':
        this.socket(next.socket)?.refuseNext(next.status);
        break;
      case 'deliver':
        this.socket(next.socket)?.deliver(next.bytes);
        break;
      default:
        this.socket(next.socket)?.[next.do]();
    }
    // What is submitted in one turn goes out in the next.
    await Promise.resolve();
  }

  submit(count: number, invalid: readonly number[] = [], content: Partial<RunContent> = {}): RecordedRun {
    const run = new RecordedRun({ count, seed: this.runs.length + 1, ...content });
    for (const position of invalid) if (position < count) this.gateway.invalid.add(run.token(position));
    for (let position = 0; position < count; position++) {
      this.gateway.places.set(run.token(position), { run: this.runs.length, position });
    }
    this.runs.push(run);
    this.transport.submit(run);
    return run;
  }

  /** From now on nothing goes wrong. */
  async calm(until: () => boolean): Promise<void> {
    for (let round = 0; round < 20_000 && !until(); round++) {
      this.gateway.flow();
      this.clock.advance(100);
      await Promise.resolve();
    }
    expect(until(), `${JSON.stringify(this.transport.state)}, ${this.transport.inFlight} in flight`).toBe(
      true,
    );
  }

  expectAllTaken(): void {
    for (const run of this.runs) {
      for (let position = 0; position < run.columns.count; position++) {
        expect(this.gateway.taken.get(run.token(position))).toBe(1);
      }
    }
  }

  expectIdentity(): void {
    for (const run of this.runs) {
      expect(run.twice).toEqual([]);
      for (const [position, settlement] of run.settlements.entries()) {
        const token = run.token(position);
        const times = this.gateway.taken.get(token) ?? 0;
        const fact = `position ${position}, taken ${times} times, is ${JSON.stringify(settlement)}`;
        expect(times, fact).toBeLessThanOrEqual(1);
        switch (settlement?.kind) {
          case 'accepted':
            expect(times, fact).toBe(1);
            break;
          case 'rejected':
          case 'retryable':
          case 'unprocessed':
            expect(times, fact).toBe(0);
            break;
          case 'uncertain':
            break;
          default:
            expect.unreachable(fact);
        }
      }
    }
  }

  private socket(index: number): FakeSocket | undefined {
    const { live } = this.gateway;
    return live[index % Math.max(1, live.length)];
  }
}
