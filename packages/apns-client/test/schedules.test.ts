import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BinaryTransport } from '../src/binary/binary-transport.ts';
import { resolveOptions } from '../src/binary/binary-transport-options.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeGateway, type FakeSocket } from './fake-gateway.ts';
import { Observed, TestCredential } from './gateway-test.ts';
import { RecordedRun } from './recorded-run.ts';

// Schedules of a whole transport: everything that network, kernel, gateway, time, operator and worker can do, in any
// order, one step after another. Whatever the order, the identity holds.

type Step =
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
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flow' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('deliver' as const), socket, bytes: fc.constantFrom(1, 3, 6) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('refuseNext' as const),
      socket,
      status: fc.constantFrom(0, 1, 3, 4, 8, 128, 255, 77),
    }),
  },
  { weight: 16, arbitrary: fc.record({ do: fc.constantFrom('accept', 'take', 'read'), socket }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('close', 'break', 'failWrites', 'shutDown', 'sayUnknown'),
      socket,
    }),
  },
);

/** Begins with a connection that serves, so that more steps meet something in flight. */
const warmUp: readonly Step[] = [
  { do: 'submit', count: 40, invalid: [] },
  { do: 'flow' },
  { do: 'advance', ms: 200 },
];

const setting = fc.record({
  connections: fc.integer({ min: 1, max: 3 }),
  window: fc.constantFrom(5, 30, 1_000),
  suspectAfter: fc.integer({ min: 1, max: 3 }),
  suspectWindow: fc.constantFrom(2, 10),
  command: fc.constantFrom(1 as const, 2 as const),
  // Near the end of the numbers, so that they wrap (PROTOCOL section 1).
  firstIdentifier: fc.constantFrom(1, 0xffff_ffff - 10, 0xffff_ffff),
});

class Schedule {
  readonly clock = new FakeClock();
  readonly gateway = new FakeGateway();
  readonly observed = new Observed();
  readonly credential = new TestCredential({ cert: '', key: '' });
  readonly runs: RecordedRun[] = [];
  readonly transport: BinaryTransport;

  constructor(options: object) {
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

  submit(count: number, invalid: readonly number[]): void {
    const run = new RecordedRun({ count, seed: this.runs.length + 1 });
    for (const position of invalid) if (position < count) this.gateway.invalid.add(run.token(position));
    for (let position = 0; position < count; position++) {
      this.gateway.places.set(run.token(position), { run: this.runs.length, position });
    }
    this.runs.push(run);
    this.transport.submit(run);
  }

  /** From now on nothing goes wrong. */
  async calm(until: () => boolean): Promise<void> {
    for (let round = 0; round < 2_000 && !until(); round++) {
      this.gateway.flow();
      this.clock.advance(100);
      await Promise.resolve();
    }
    expect(until(), `${JSON.stringify(this.transport.state)}, ${this.transport.inFlight} in flight`).toBe(
      true,
    );
  }

  expectIdentity(): void {
    // With several, one may have to send again what another was told to be discarded.
    if (this.transport.options.connections === 1) expect(this.gateway.misordered).toEqual([]);
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

describe('a transport in any schedule', () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
  const schedule = fc.tuple(
    setting,
    fc.tuple(fc.boolean(), steps).map(([isWarm, all]) => [...(isWarm ? warmUp : []), ...all]),
  );

  test('settles everything exactly once, and proves it without a drain once nothing goes wrong', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const run = new Schedule(options);
        for (const next of steps) await run.take(next);
        await run.calm(() => run.transport.inFlight === 0);
        run.expectIdentity();
        run.transport.destroy();
        expect(run.clock.pending).toBe(0);
      }),
      { numRuns: 1_500 },
    );
  });

  test('drains with proofs, and never waits beyond its deadline', async () => {
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
          await Promise.resolve();
        }
        expect(isDrained).toBe(true);
        expect(run.transport.state).toEqual({ kind: 'closed' });
        run.expectIdentity();
        expect(run.clock.pending).toBe(0);
        expect(run.gateway.live).toEqual([]);
      }),
      { numRuns: 1_500 },
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
      { numRuns: 1_000 },
    );
  });
});
