import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Http2Transport } from '../src/http2/http2-transport.ts';
import { type Http2TransportOptions, resolveHttp2Options } from '../src/http2/http2-transport-options.ts';
import type { ProviderTokens } from '../src/index.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeHttp2Gateway, type FakeHttp2Socket } from './fake-http2-gateway.ts';
import { Observed } from './gateway-test.ts';
import { RecordedRun } from './recorded-run.ts';

// Schedules of a whole transport: everything that network, kernel, gateway, time, operator and worker can do, in any
// order, one step after another. Whatever the order, the identity holds.

/** What one socket or the gateway behind it does. */
const acts = [
  'accept',
  'take',
  'read',
  'answer',
  'fail',
  'hang',
  'refuse',
  'resetStream',
  'goAway',
  'ping',
  'deafen',
  'close',
  'break',
  'failWrites',
] as const;

type Step =
  | { readonly do: 'submit'; readonly count: number; readonly invalid: readonly number[] }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'flow' | 'renewToken' | 'expireToken' | 'refuseCredential' }
  | { readonly do: 'deliver'; readonly socket: number; readonly bytes: number }
  | { readonly do: 'limit'; readonly socket: number; readonly streams: number }
  | { readonly do: 'narrow'; readonly socket: number; readonly window: number }
  | { readonly do: (typeof acts)[number]; readonly socket: number };

const socket = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      count: fc.integer({ min: 1, max: 40 }),
      invalid: fc.array(fc.nat(39), { maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 30, 200, 1_000, 5_000, 40_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flow' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('renewToken', 'expireToken', 'refuseCredential') }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      socket,
      bytes: fc.constantFrom(1, 9, 40, 1_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      socket,
      streams: fc.constantFrom(0, 1, 3, 50),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('narrow' as const),
      socket,
      window: fc.constantFrom(0, 7, 65_535),
    }),
  },
  { weight: 24, arbitrary: fc.record({ do: fc.constantFrom('accept', 'take', 'read', 'answer'), socket }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom(...acts), socket }) },
);

/** Begins with a connection that serves, so that more steps meet something in flight. */
const warmUp: readonly Step[] = [
  { do: 'submit', count: 5, invalid: [] },
  ...Array.from({ length: 6 }, (): Step => ({ do: 'flow' })),
  { do: 'submit', count: 40, invalid: [3] },
  { do: 'take', socket: 0 },
  { do: 'read', socket: 0 },
];

const setting = fc.record({
  connections: fc.integer({ min: 1, max: 3 }),
  streams: fc.constantFrom(1, 4, 1_000),
  window: fc.constantFrom(30, 1_000),
  lastStreamId: fc.constantFrom(9, 61, 0x7fff_ffff),
  firstLimit: fc.constantFrom(0, 1, 100, 100),
});

/** Signs a token whenever it is asked to. */
class FleetTokens implements ProviderTokens {
  number = 1;
  #listener = (): void => undefined;

  current(): string {
    return `token-${this.number}`;
  }

  async refresh(): Promise<void> {}

  async expired(jwt: string): Promise<boolean> {
    if (jwt === this.current()) this.renew();
    return true;
  }

  tooManyUpdates(): void {}

  onChange(listener: () => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  renew(): void {
    this.number += 1;
    this.#listener();
  }
}

class Schedule {
  readonly clock = new FakeClock();
  readonly gateway = new FakeHttp2Gateway();
  readonly observed = new Observed();
  readonly tokens = new FleetTokens();
  readonly runs: RecordedRun[] = [];
  readonly transport: Http2Transport;

  constructor({ firstLimit, ...options }: Partial<Http2TransportOptions> & { readonly firstLimit: number }) {
    this.gateway.firstLimit = firstLimit;
    this.transport = new Http2Transport({
      ...resolveHttp2Options({
        host: 'gateway.test',
        port: 443,
        topic: 'com.example.shop',
        authentication: { kind: 'token', tokens: this.tokens },
        clock: this.clock,
        observer: this.observed.observer,
        ...options,
      }),
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
      case 'flow':
        this.gateway.flow();
        break;
      case 'renewToken':
        this.tokens.renew();
        break;
      case 'expireToken':
        this.gateway.expired.add(`bearer ${this.tokens.current()}`);
        break;
      case 'refuseCredential':
        this.gateway.refusesCredential = !this.gateway.refusesCredential;
        break;
      case 'deliver':
        this.socket(next.socket)?.deliver(next.bytes);
        break;
      case 'limit':
        this.socket(next.socket)?.limit(next.streams);
        break;
      case 'narrow':
        this.socket(next.socket)?.narrow(next.window);
        break;
      default:
        this.socket(next.socket)?.[next.do]();
    }
    await turn();
  }

  submit(count: number, invalid: readonly number[]): void {
    const run = new RecordedRun({ count, seed: this.runs.length + 1 });
    for (const position of invalid) if (position < count) this.gateway.invalid.add(run.token(position));
    this.runs.push(run);
    this.transport.submit(run);
  }

  /** From now on nothing goes wrong. */
  async calm(until: () => boolean): Promise<void> {
    this.gateway.refusesCredential = false;
    this.gateway.firstLimit = 100;
    for (const each of this.gateway.live) {
      each.limit(100);
      each.narrow(65_535);
    }
    // Two minutes and more, for everything that waits for a deadline.
    for (let round = 0; round < 2_000 && !until(); round++) {
      this.gateway.flow();
      this.clock.advance(100);
      await turn();
    }
    expect(until(), `${JSON.stringify(this.transport.state)}, ${this.transport.inFlight} in flight`).toBe(
      true,
    );
  }

  expectIdentity(): void {
    expect(this.gateway.breaches).toEqual([]);
    for (const run of this.runs) {
      expect(run.twice).toEqual([]);
      for (const [position, settlement] of run.settlements.entries()) {
        const times = this.gateway.taken.get(run.token(position)) ?? 0;
        const fact = `position ${position}, taken ${times} times, is ${JSON.stringify(settlement)}`;
        expect(times, fact).toBeLessThanOrEqual(1);
        switch (settlement?.kind) {
          case 'accepted':
            expect([times, settlement.certainty], fact).toEqual([1, 'proved']);
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

  private socket(index: number): FakeHttp2Socket | undefined {
    const { live } = this.gateway;
    return live[index % Math.max(1, live.length)];
  }
}

/** What is submitted in one turn goes out in the next, and a token is signed in between. */
async function turn(): Promise<void> {
  for (let times = 0; times < 4; times++) await Promise.resolve();
}

describe('a transport in any schedule', () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
  const schedule = fc.tuple(
    setting,
    fc.tuple(fc.boolean(), steps).map(([isWarm, all]) => [...(isWarm ? warmUp : []), ...all]),
  );

  test('settles everything exactly once, and serves again, by itself once nothing goes wrong', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const run = new Schedule(options);
        for (const next of steps) await run.take(next);
        await run.calm(() => run.transport.inFlight === 0 && run.transport.state.kind !== 'paused');
        run.expectIdentity();
        run.transport.destroy();
        expect(run.clock.pending).toBe(0);
      }),
      { numRuns: 350 },
    );
  });

  test('drains, and never waits beyond its deadline', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, fc.boolean(), async ([options, steps], isCalm) => {
        const run = new Schedule(options);
        for (const next of steps) await run.take(next);
        let isDrained = false;
        void run.transport.drain(3_000).then(() => {
          isDrained = true;
        });
        if (isCalm) await run.calm(() => isDrained);
        else {
          for (const next of steps) if (next.do !== 'advance') await run.take(next);
          run.clock.advance(3_000);
          await turn();
        }
        expect(isDrained).toBe(true);
        expect(run.transport.state).toEqual({ kind: 'closed' });
        expect(run.transport.inFlight).toBe(0);
        run.expectIdentity();
        expect(run.clock.pending).toBe(0);
        expect(run.gateway.live).toEqual([]);
      }),
      { numRuns: 350 },
    );
  });

  test('hands everything back at once when it is destroyed', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const run = new Schedule(options);
        for (const next of steps) await run.take(next);
        run.transport.destroy();
        expect(run.transport.inFlight).toBe(0);
        run.expectIdentity();
        expect(run.clock.pending).toBe(0);
        expect(run.gateway.live).toEqual([]);
      }),
      { numRuns: 250 },
    );
  });
});
