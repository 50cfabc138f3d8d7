import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Schedule, type Step } from './schedule.ts';

// Schedules of a whole transport: everything that network, kernel, gateway, time, operator and worker can do, in any
// order, one step after another. Whatever the order, the identity holds.

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
      { numRuns: 500 },
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
      { numRuns: 500 },
    );
  });

  test('counts exactly what silence presumed wrongly, when every connection ends with an answer', async () => {
    const isTold = ({ do: what }: Step) =>
      !['close', 'break', 'failWrites', 'sayUnknown', 'shutDown', 'renew'].includes(what);
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const run = new Schedule({
          ...options,
          confirm: 'presumed',
          // What only time or a probe would end does not end here.
          connectTimeoutMs: 1e9,
          writeStallMs: 1e9,
          idleTimeoutMs: 1e9,
          suspectIdleTimeoutMs: 1e9,
        });
        for (const next of steps.filter(isTold)) await run.take(next);
        // What silence has settled may not have been read yet.
        await run.calm(() => run.transport.inFlight === 0);
        run.gateway.flow();
        await run.calm(() => run.transport.inFlight === 0);
        let lost = 0;
        for (const each of run.runs) {
          expect(each.twice).toEqual([]);
          for (const [position, { kind }] of each.settlements.map((settlement) => settlement!).entries()) {
            const times = run.gateway.taken.get(each.token(position)) ?? 0;
            expect(times).toBeLessThanOrEqual(1);
            expect(kind).not.toBe('uncertain');
            if (kind === 'accepted' && times === 0) lost += 1;
          }
        }
        expect(lost).toBe(run.observed.wronglyPresumed);
        run.transport.destroy();
      }),
      { numRuns: 500 },
    );
  });

  test('keeps the order of a run, replays included, where there is one connection at a time', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const ample = { connections: 1, window: 1_000, suspectWindow: 1_000, confirmAfterMs: 1e9 };
        const run = new Schedule({ ...options, ...ample });
        // One that is still listened to after a failed write may have a successor already.
        for (const next of steps) if (next.do !== 'renew' && next.do !== 'failWrites') await run.take(next);
        let isDrained = false;
        void run.transport.drain(1e9).then(() => {
          isDrained = true;
        });
        await run.calm(() => isDrained);
        expect(run.gateway.misordered).toEqual([]);
        run.expectIdentity();
      }),
      { numRuns: 500 },
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
      { numRuns: 500 },
    );
  });
});
