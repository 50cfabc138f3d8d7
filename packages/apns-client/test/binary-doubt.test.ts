import { describe, expect, test } from 'vitest';
import { BinarySchedule } from './binary-schedule.ts';
import { RecordedRun } from './recorded-run.ts';

// Gateways that hang up without a word, and a worker that submits again what comes back, on a clock of our own. A fault
// that is not the notification's costs it nothing: everything is delivered, and what is doubled is bounded.

interface Row {
  readonly gateway: string;
  readonly count?: number;
  readonly options?: ConstructorParameters<typeof BinarySchedule>[0];
  /** Positions that the gateway hangs up on. */
  readonly bad?: readonly number[];
  /** Positions that are submitted later, and when, milliseconds. */
  readonly later?: { readonly atMs: number; readonly positions: readonly number[] };
  readonly manner: (
    bad: ReadonlySet<string>,
    schedule: BinarySchedule,
  ) => BinarySchedule['gateway']['manner'];
  /** Within so much time, milliseconds. */
  readonly withinMs: number;
}

/** A worker: submits what it was given, and again what comes back, uncertain ones later than others. */
class Worker {
  readonly schedule: BinarySchedule;
  readonly runs: RecordedRun[] = [];
  readonly accepted = new Set<string>();
  readonly rejected = new Map<string, string>();
  readonly retryable = new Map<string, string>();
  uncertain = 0;
  readonly #read = new Set<RecordedRun>();
  #waiting: { readonly atMs: number; readonly positions: number[] }[] = [];
  readonly #count: number;

  constructor(schedule: BinarySchedule, count: number, later?: Row['later']) {
    this.schedule = schedule;
    this.#count = count;
    const all = Array.from({ length: count }, (_, position) => position);
    const isLater = new Set(later?.positions);
    this.#waiting = [{ atMs: 0, positions: all.filter((position) => !isLater.has(position)) }];
    if (later !== undefined)
      this.#waiting.push({ atMs: schedule.clock.now() + later.atMs, positions: [...isLater] });
  }

  get isDone(): boolean {
    return this.accepted.size + this.rejected.size + this.retryable.size === this.#count;
  }

  /** So much time passes, with everything that network, gateway and worker do in it. */
  async live(ms: number, stepMs: number): Promise<void> {
    const { clock, gateway } = this.schedule;
    for (const endMs = clock.now() + ms; clock.now() < endMs && !this.isDone; ) {
      this.#work();
      await Promise.resolve();
      for (let round = 0; round < 3; round++) {
        gateway.flow();
        await Promise.resolve();
      }
      clock.advance(stepMs);
    }
    this.#work();
  }

  #work(): void {
    const { clock, transport } = this.schedule;
    const uncertain: number[] = [];
    const unprocessed: number[] = [];
    for (const run of this.runs) {
      if (run.open > 0 || this.#read.has(run)) continue;
      this.#read.add(run);
      for (const [index, settlement] of run.settlements.entries()) {
        const token = run.token(index);
        const position = run.original(index);
        const { kind } = settlement!;
        switch (kind) {
          case 'accepted':
            expect(this.accepted.has(token)).toBe(false);
            this.accepted.add(token);
            break;
          case 'rejected':
          case 'retryable':
            expect(settlement).toMatchObject({ answer: { fault: 'notification', tokenInvalid: false } });
            this[kind].set(token, (settlement as { answer: { reason: string } }).answer.reason);
            break;
          case 'uncertain':
            uncertain.push(position);
            this.uncertain += 1;
            break;
          default:
            unprocessed.push(position);
        }
      }
    }
    if (unprocessed.length > 0) this.#waiting.push({ atMs: 0, positions: unprocessed });
    if (uncertain.length > 0) this.#waiting.push({ atMs: clock.now() + 2_000, positions: uncertain });
    for (const due of this.#waiting.filter(({ atMs }) => atMs <= clock.now())) {
      if (transport.room <= 0) return;
      this.#waiting = this.#waiting.filter((waiting) => waiting !== due);
      const run = this.schedule.submit(this.#count, [], { seed: 1, positions: due.positions });
      this.runs.push(run);
    }
  }
}

/** The published bound (docs/delivery.md), computed from what happens. */
class Bound {
  /** Duplicates, at most. */
  duplicates = 0;

  constructor({ observed, runs, options }: BinarySchedule) {
    let ends = 0;
    let acceptedBefore = 0;
    observed.onUncertain = (inDoubt) => {
      let accepted = 0;
      for (const { settlements } of runs) {
        for (const settlement of settlements) if (settlement?.kind === 'accepted') accepted++;
      }
      // The first that breaks of each connection had been written to as fast as it takes.
      const isFirst = ++ends <= options.connections;
      const most = isFirst ? inDoubt : 200 + accepted - acceptedBefore;
      expect(inDoubt, `end ${ends}`).toBeLessThanOrEqual(most);
      this.duplicates += Math.min(inDoubt, most);
      acceptedBefore = accepted;
    };
  }
}

const rows: readonly Row[] = [
  {
    gateway: 'hangs up after every seventh frame',
    count: 500,
    manner: () => (_, socket) => (socket.taken === 6 ? 'take-and-hang-up' : undefined),
    withinMs: 600_000,
  },
  {
    gateway: 'hangs up after 5,000 frames',
    count: 50_000,
    manner: () => (_, socket) => (socket.taken === 4_999 ? 'take-and-hang-up' : undefined),
    withinMs: 300_000,
  },
  {
    gateway: 'flaps for a minute',
    count: 50_000,
    manner: (_, { clock }) => {
      const startMs = clock.now();
      return () =>
        clock.now() - startMs < 60_000 && (clock.now() - startMs) % 3_000 < 200
          ? 'take-and-hang-up'
          : undefined;
    },
    withinMs: 120_000,
  },
  {
    gateway: 'hangs up on one frame in the middle',
    bad: [500],
    manner: (bad) => (token) => (bad.has(token) ? 'hang-up' : undefined),
    withinMs: 120_000,
  },
  {
    gateway: 'hangs up on the first, one in the middle and the last',
    bad: [0, 500, 999],
    manner: (bad) => (token) => (bad.has(token) ? 'hang-up' : undefined),
    withinMs: 240_000,
  },
  {
    gateway: 'hangs up on ten in a row, and some at the end',
    bad: [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 890, 897, 898, 899],
    // Where all that is left is hung up on, only what comes later can tell that it is not the gateway.
    later: { atMs: 300_000, positions: Array.from({ length: 100 }, (_, index) => 900 + index) },
    manner: (bad) => (token) => (bad.has(token) ? 'hang-up' : undefined),
    withinMs: 500_000,
  },
  ...[2, 3, 5, 8].map(
    (left): Row => ({
      gateway: `hangs up once, and for five minutes on everything when ${left} are left`,
      manner: (_, { clock }) => {
        const taken = new Set<string>();
        let hasHungUp = false;
        let brokenUntilMs: number | undefined;
        return (token) => {
          if (taken.size >= 1_000 - left) brokenUntilMs ??= clock.now() + 300_000;
          if (clock.now() < (brokenUntilMs ?? 0)) return 'hang-up';
          if (taken.size === 500 && !hasHungUp) {
            hasHungUp = true;
            return 'hang-up';
          }
          if (token !== '') taken.add(token);
          return undefined;
        };
      },
      withinMs: 600_000,
    }),
  ),
  {
    gateway: 'hangs up on 41 in 50,000',
    count: 50_000,
    bad: Array.from({ length: 41 }, (_, index) => (index * 7_919 + 13) % 50_000),
    manner: (bad) => (token) => (bad.has(token) ? 'hang-up' : undefined),
    withinMs: 2_000_000,
  },
];

describe.each(rows)(
  'a gateway that $gateway',
  ({ count = 1_000, manner, withinMs, bad = [], later, options }) => {
    test.each([
      ['presumed, command 2', { confirm: 'presumed', command: 2 }],
      ['proved, command 2', { confirm: 'proved', command: 2 }],
      ['presumed, command 0', { confirm: 'presumed', command: 0 }],
    ] as const)('%s', async (_, base) => {
      const schedule = new BinarySchedule({
        onUncertain: 'resend',
        rotationFloorMs: 10_000,
        ...base,
        ...options,
      });
      const tokens = new RecordedRun({ count });
      schedule.gateway.manner = manner(new Set(bad.map((position) => tokens.token(position))), schedule);
      const worker = new Worker(schedule, count, later);
      const bound = new Bound(schedule);
      await worker.live(withinMs, 50);
      const taken = [...schedule.gateway.taken.values()];
      const doubled = taken.reduce((sum, times) => sum + times - 1, 0);
      expect(worker.isDone).toBe(true);
      // Command 0 has no other word for it; on the others it may be the gateway's trouble, and tries count.
      const refused = base.command === 0 ? worker.rejected : worker.retryable;
      const expected = bad.map((position) => [tokens.token(position), 'connection-cut']);
      expect(new Map(refused)).toEqual(new Map(expected as [string, string][]));
      expect(doubled).toBeLessThanOrEqual(bound.duplicates);
      schedule.transport.destroy();
    });
  },
);

const troubleMs = 300_000;

describe.each([
  { gateway: 'hangs up on every frame', manner: () => 'hang-up' as const, reason: /takes nothing/ },
  {
    gateway: 'takes one frame and hangs up',
    manner: () => 'take-and-hang-up' as const,
    reason: /takes nothing/,
  },
  {
    gateway: 'hangs up on every frame but the known-bad one',
    manner: (token: string) => (token === '' ? undefined : ('hang-up' as const)),
    answers: true,
    reason: /takes nothing/,
  },
  {
    gateway: 'takes one frame and hangs up, but answers the known-bad one',
    manner: (token: string) => (token === '' ? undefined : ('take-and-hang-up' as const)),
    answers: true,
    reason: /takes nothing/,
  },
  {
    gateway: 'takes one frame and hangs up, and leaves the known-bad one unanswered',
    manner: (token: string) => (token === '' ? ('ignore' as const) : ('take-and-hang-up' as const)),
    answers: true,
    reason: /takes nothing/,
  },
  {
    gateway: 'takes frames and answers no known-bad frame',
    manner: (token: string) => (token === '' ? ('ignore' as const) : undefined),
    onlyProved: true,
    reason: /nothing can be proved/,
  },
  {
    gateway: 'reads and does nothing',
    manner: () => 'ignore' as const,
    onlyProved: true,
    reason: /nothing can be proved/,
  },
])('a gateway that $gateway for five minutes', ({ manner, reason, answers, onlyProved }) => {
  const modes = [
    ['proved, command 2', { confirm: 'proved', command: 2 }],
    ['presumed, command 2', { confirm: 'presumed', command: 2 }],
    ['presumed, command 0', { confirm: 'presumed', command: 0 }],
  ] as const;
  test.each(onlyProved === true ? modes.slice(0, 1) : modes)('%s', async (_, base) => {
    const schedule = new BinarySchedule({ onUncertain: 'resend', rotationFloorMs: 10_000, ...base });
    const { gateway, transport, observed } = schedule;
    const copies = new Map<string, number>();
    gateway.manner = (token) => {
      if (token !== '') copies.set(token, (copies.get(token) ?? 0) + 1);
      return manner(token);
    };
    const worker = new Worker(schedule, 1_000);
    await worker.live(troubleMs, 50);
    const reads = [...copies.values()];
    // All the copies of a search, and one for each time that the gateway was asked again.
    expect(reads.reduce((sum, times) => sum + times, 0)).toBeLessThanOrEqual(1_000 + 200 + 16 + 30);
    // It is asked by a known-bad frame, where there is one: no notification goes out a third time unless it is answered.
    const isAsked = base.command !== 0 && answers !== true;
    expect(Math.max(...reads)).toBeLessThanOrEqual(isAsked ? 2 : 5);
    expect(gateway.sockets.length).toBeLessThan(60);
    expect([worker.rejected.size, worker.retryable.size, worker.accepted.size]).toEqual([0, 0, 0]);
    // It is open for a moment whenever it asks whether the trouble is over.
    expect(observed.states.slice(-4).findLast(({ kind }) => kind === 'paused')).toMatchObject({
      kind: 'paused',
      about: 'worker',
      reason: expect.stringMatching(reason),
    });
    gateway.manner = () => undefined;
    await worker.live(35_000 + 5_000, 50);
    expect(worker.accepted.size).toBe(1_000);
    transport.destroy();
  });
});
