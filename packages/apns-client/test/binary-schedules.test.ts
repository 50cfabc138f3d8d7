import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { advance, anySchedule, socket, submit, testAnySchedule } from './any-schedule.ts';
import { BinarySchedule, type BinaryStep } from './binary-schedule.ts';

const step: fc.Arbitrary<BinaryStep> = fc.oneof(
  { weight: 4, arbitrary: submit },
  { weight: 3, arbitrary: advance },
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

const warmUp: readonly BinaryStep[] = [
  { do: 'submit', count: 40, invalid: [] },
  { do: 'flow' },
  { do: 'advance', ms: 200 },
];

const setting = fc.record({
  connections: fc.integer({ min: 1, max: 3 }),
  window: fc.constantFrom(5, 30, 1_000),
  suspectAfter: fc.integer({ min: 1, max: 3 }),
  shortestStretch: fc.constantFrom(1, 5, 200),
  command: fc.constantFrom(1 as const, 2 as const),
  // Near the end of the numbers, so that they wrap (`docs/protocol/binary.md#identifiers`).
  firstIdentifier: fc.constantFrom(1, 0xffff_ffff - 10, 0xffff_ffff),
});

describe('a binary transport in any schedule', () => {
  const schedule = anySchedule(setting, step, warmUp);
  // It proves everything: nothing settles by silence here.
  testAnySchedule(schedule, (options) => new BinarySchedule(options), 500);

  describe('that sends again what is in doubt', () => {
    const appetite = fc.constantFrom(0, 1, 2, 7, 30, Number.POSITIVE_INFINITY);
    const impatient = anySchedule(fc.tuple(setting, appetite), step, warmUp);
    testAnySchedule(
      impatient,
      ([options, most]) => {
        const run = new BinarySchedule({ ...options, onUncertain: 'resend' });
        const untilMs = run.clock.now() + 120_000;
        // Each connection takes so many, for a while, and then ends without a word.
        run.gateway.manner = (_, { taken }) =>
          taken >= most && run.clock.now() < untilMs ? 'hang-up' : undefined;
        return run;
      },
      300,
    );
  });

  test('settles everything exactly once in doubt of every kind, on every command', async () => {
    const doubtful = fc.record({
      command: fc.constantFrom(0 as const, 1 as const, 2 as const),
      isProved: fc.boolean(),
      // So many frames a connection, and one token in sixteen that it hangs up on.
      appetite: fc.constantFrom(0, 1, 2, 7, 30, Number.POSITIVE_INFINITY),
      hasBadTokens: fc.boolean(),
    });
    const doubtfulSchedule = anySchedule(fc.tuple(setting, doubtful), step, warmUp);
    await fc.assert(
      fc.asyncProperty(doubtfulSchedule, async ([[options, gateway], steps]) => {
        const { command, isProved, appetite, hasBadTokens } = gateway;
        const confirm = isProved && command !== 0 ? 'proved' : 'presumed';
        const run = new BinarySchedule({ ...options, command, confirm, onUncertain: 'resend' });
        const untilMs = run.clock.now() + 120_000;
        run.gateway.manner = (token, { taken }) => {
          if (run.clock.now() >= untilMs) return undefined;
          return taken >= appetite || (hasBadTokens && token.startsWith('3')) ? 'hang-up' : undefined;
        };
        await run.take(steps);
        await run.calm(() => run.transport.inFlight === 0 && run.transport.state.kind !== 'paused');
        for (const { twice, open, settlements, resends } of run.runs) {
          expect([twice, open]).toEqual([[], 0]);
          const unprocessed = resends.filter((_, position) => settlements[position]!.kind === 'unprocessed');
          expect(Math.max(0, ...unprocessed)).toBe(0);
        }
        run.transport.destroy();
        expect(run.clock.pending).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('counts exactly what silence presumed wrongly, when every connection ends with an answer', async () => {
    const isTold = ({ do: what }: BinaryStep) =>
      !['close', 'break', 'failWrites', 'sayUnknown', 'shutDown', 'renew'].includes(what);
    await fc.assert(
      fc.asyncProperty(schedule, async ([options, steps]) => {
        const run = new BinarySchedule({
          ...options,
          confirm: 'presumed',
          // What only time or a probe would end does not end here.
          connectTimeoutMs: 1e9,
          writeStallMs: 1e9,
          idleTimeoutMs: 1e9,
          suspectIdleTimeoutMs: 1e9,
        });
        await run.take(steps.filter(isTold));
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
        const ample = { connections: 1, window: 1_000, confirmAfterMs: 1e9 };
        const run = new BinarySchedule({ ...options, ...ample });
        // One that is still listened to after a failed write may have a successor already.
        await run.take(steps.filter((next) => next.do !== 'renew' && next.do !== 'failWrites'));
        await run.calm(run.drain(1e9));
        expect(run.gateway.misordered).toEqual([]);
        run.expectIdentity();
      }),
      { numRuns: 500 },
    );
  });
});
