import { expect, onTestFinished, test, vi } from 'vitest';
import { JobLease, type LaneQueue, LockKeeper } from '../src/worker/index.ts';

const lockMs = 15_000;
const leaseMs = 13_500;

/** Both clocks go together, unless a test says otherwise. */
class TestClock {
  nowMs = 5_000;
  epoch = 1_000_000;
  now = () => this.nowMs;
  epochMs = () => this.epoch;
  pass(ms: number): void {
    this.nowMs += ms;
    this.epoch += ms;
  }
}

test('a lease ends before the lock, counted from when the job was asked for', () => {
  const clock = new TestClock();
  const lease = new JobLease(clock, lockMs);
  expect(lease.untilMs).toBe(5_000 + leaseMs);
  clock.pass(leaseMs - 1);
  expect(lease.isOver).toBe(false);
  clock.pass(1);
  expect(lease.isOver).toBe(true);
});

test('a renewal counts from when it was sent, once it is granted, and revives a lease that is over', () => {
  const clock = new TestClock();
  const lease = new JobLease(clock, lockMs);
  clock.pass(5_000);
  const granted = lease.renewal();
  clock.pass(9_000);
  expect(lease.isOver).toBe(true);
  granted();
  expect(lease.isOver).toBe(false);
  expect(lease.untilMs).toBe(10_000 + leaseMs);
});

test('a system clock that leaps ahead of the even one shortens it until it is renewed; one set back does not lengthen it', () => {
  const clock = new TestClock();
  const lease = new JobLease(clock, lockMs);
  clock.epoch += 4_000;
  expect(lease.untilMs).toBe(5_000 + leaseMs - 4_000);
  clock.epoch += 40_000;
  expect(lease.isOver).toBe(true);
  lease.renewal()();
  expect(lease.untilMs).toBe(5_000 + leaseMs);
  clock.epoch -= 100_000;
  expect(lease.untilMs).toBe(5_000 + leaseMs);
});

test('a lease of a job that is lost never comes back', () => {
  const clock = new TestClock();
  const lease = new JobLease(clock, lockMs);
  const granted = lease.renewal();
  lease.end();
  granted();
  expect(lease.isOver).toBe(true);
});

/** A keeper of one queue whose renewals a test answers. */
function keep() {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const clock = new TestClock();
  const answers: PromiseWithResolvers<readonly string[]>[] = [];
  const asked: string[][] = [];
  const renew = async (jobs: readonly { readonly id: string }[]) => {
    asked.push(jobs.map(({ id }) => id));
    const answer = Promise.withResolvers<readonly string[]>();
    answers.push(answer);
    return answer.promise;
  };
  const queue = { renew } as unknown as LaneQueue;
  const otherQueue = { renew } as unknown as LaneQueue;
  const stoodStill: number[] = [];
  const errors: unknown[] = [];
  const locks = new LockKeeper({
    links: [{ lockDurationMs: lockMs, onReady: () => undefined }],
    clock,
    onStoodStill: (ms) => void stoodStill.push(ms),
    onError: (error) => void errors.push(error),
  });
  onTestFinished(() => locks.close());
  const hold = (id: string, at = queue) => {
    const job = { id, token: `token of ${id}`, lease: new JobLease(clock, lockMs) };
    const lost: string[] = [];
    locks.hold(at, job, () => void lost.push(id));
    return { ...job, lost };
  };
  /** Time passes, and the timers with it. */
  const pass = async (ms: number) => {
    clock.pass(ms);
    await vi.advanceTimersByTimeAsync(ms);
  };
  return { clock, locks, queue, otherQueue, hold, pass, asked, answers, stoodStill, errors };
}

test('leases are prolonged by renewals that Redis granted, from when they were sent', async () => {
  const { hold, pass, asked, answers, clock } = keep();
  const [kept, other] = [hold('kept'), hold('other')];
  await pass(5_000);
  expect(asked).toEqual([['kept', 'other']]);
  const sentMs = clock.now();
  await pass(2_000);
  answers[0]!.resolve(['other']);
  await vi.advanceTimersByTimeAsync(0);
  expect(kept.lease.untilMs).toBe(sentMs + leaseMs);
  expect([kept.lost, other.lost]).toEqual([[], ['other']]);
  expect(other.lease.isOver).toBe(true);
});

test('a renewal that is not answered prolongs nothing', async () => {
  const { hold, pass, answers, errors } = keep();
  const { lease, lost } = hold('kept');
  await pass(5_000);
  answers[0]!.reject(new Error('Redis is away'));
  await pass(5_000);
  expect(errors).toHaveLength(1);
  await pass(3_500);
  expect(lease.isOver).toBe(true);
  expect(lost).toEqual([]);
});

test('a queue that is not answered for holds up no other', async () => {
  const { hold, pass, answers, asked, otherQueue } = keep();
  const [stuck, free] = [hold('stuck'), hold('free', otherQueue)];
  await pass(5_000);
  answers[1]!.resolve([]);
  await pass(5_000);
  expect(asked).toEqual([['stuck'], ['free'], ['free']]);
  answers[2]!.resolve([]);
  await pass(4_000);
  expect([stuck.lease.isOver, free.lease.isOver]).toEqual([true, false]);
});

test('a job that ended before its renewal was answered is not lost', async () => {
  const { hold, pass, answers, locks, queue } = keep();
  const ended = hold('ended');
  await pass(5_000);
  locks.release(queue, ended);
  answers[0]!.resolve(['ended']);
  await vi.advanceTimersByTimeAsync(0);
  expect(ended.lost).toEqual([]);
});

test('a process that stood still longer than its leases hears of it before anything is asked', async () => {
  const { pass, clock, stoodStill } = keep();
  await pass(5_000);
  await pass(5_000);
  expect(stoodStill).toEqual([]);
  clock.pass(40_000);
  await pass(5_000);
  expect(stoodStill).toEqual([40_000]);
  await pass(5_000);
  expect(stoodStill).toEqual([40_000]);
});
