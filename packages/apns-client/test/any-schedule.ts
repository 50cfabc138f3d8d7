import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Schedule } from './schedule.ts';

// Schedules of a whole transport: everything that network, kernel, gateway, time, operator and worker can do, in any
// order, one step after another. Whatever the order, the identity holds.

/** Which of the live connections, of three: where there are more, one of the oldest. */
export const socket = fc.nat(2);

/** Steps that are the same on both protocols. */
export const submit = fc.record({
  do: fc.constant('submit' as const),
  count: fc.integer({ min: 1, max: 40 }),
  invalid: fc.array(fc.nat(39), { maxLength: 6 }),
});
export const advance = fc.record({
  do: fc.constant('advance' as const),
  ms: fc.constantFrom(1, 30, 200, 1_000, 5_000, 40_000),
});

/** @param warmUp Ends with connections that serve, so that more steps meet something in flight. */
export function anySchedule<Setting, Step>(
  setting: fc.Arbitrary<Setting>,
  step: fc.Arbitrary<Step>,
  warmUp: readonly Step[],
): fc.Arbitrary<[Setting, Step[]]> {
  const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
  return fc.tuple(
    setting,
    fc.tuple(fc.boolean(), steps).map(([isWarm, all]) => [...(isWarm ? warmUp : []), ...all]),
  );
}

/** What every transport owes, whatever the schedule. */
export function testAnySchedule<Setting, Step extends { readonly do: string }>(
  schedule: fc.Arbitrary<[Setting, Step[]]>,
  open: (setting: Setting) => Schedule<Step, { deliver(bytes: number): void }>,
  numRuns: number,
): void {
  test('settles everything exactly once, and serves again, by itself once nothing goes wrong', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([setting, steps]) => {
        const run = open(setting);
        await run.take(steps);
        await run.calm(() => run.transport.inFlight === 0 && run.transport.state.kind !== 'paused');
        run.expectIdentity();
        run.transport.destroy();
        expect(run.clock.pending).toBe(0);
      }),
      { numRuns },
    );
  });

  test('drains, and never waits beyond its deadline', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, fc.boolean(), async ([setting, steps], isCalm) => {
        const run = open(setting);
        await run.take(steps);
        const isDrained = run.drain(3_000);
        if (isCalm) await run.calm(isDrained);
        else {
          await run.take(steps.filter((next) => next.do !== 'advance'));
          run.clock.advance(3_000);
          await run.turn();
        }
        expect(isDrained()).toBe(true);
        run.expectOver();
      }),
      { numRuns },
    );
  });

  test('hands everything back at once when it is destroyed', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ([setting, steps]) => {
        const run = open(setting);
        await run.take(steps);
        run.transport.destroy();
        run.expectOver();
      }),
      { numRuns },
    );
  });
}
