import { expect, test } from 'vitest';
import { GroupCommit } from '../src/enqueue/group-commit.ts';

/** A write that the test settles by hand. */
function createHeldWrites() {
  const groups: number[][] = [];
  const held: PromiseWithResolvers<void>[] = [];
  const arrivals: (() => void)[] = [];
  return {
    groups,
    write: async (entries: readonly number[]): Promise<(number | Error)[]> => {
      groups.push([...entries]);
      const hold = Promise.withResolvers<void>();
      held.push(hold);
      arrivals.shift()?.();
      await hold.promise;
      return entries.map((entry) => (entry < 0 ? new Error(`refused ${entry}`) : entry * 10));
    },
    /** Resolves when the next write has begun. */
    next: () => new Promise<void>((resolve) => arrivals.push(resolve)),
    finish: () => held.shift()!.resolve(),
    fail: (error: Error) => held.shift()!.reject(error),
  };
}

test('what arrives during a write goes into the next one, in order and at most so many', async () => {
  const writes = createHeldWrites();
  const commit = new GroupCommit<number, number>(writes.write, 3);
  const begun = writes.next();
  const first = commit.add(1);
  await begun;
  const rest = [2, 3, 4, 5].map((entry) => commit.add(entry));
  expect(writes.groups).toEqual([[1]]);
  const second = writes.next();
  writes.finish();
  expect(await first).toBe(10);
  await second;
  const third = writes.next();
  writes.finish();
  await third;
  writes.finish();
  expect(await Promise.all(rest)).toEqual([20, 30, 40, 50]);
  expect(writes.groups).toEqual([[1], [2, 3, 4], [5]]);
  await commit.idle();
});

test('entries of one turn are written together', async () => {
  const writes = createHeldWrites();
  const commit = new GroupCommit<number, number>(writes.write, 10);
  const begun = writes.next();
  const results = [1, 2, 3].map((entry) => commit.add(entry));
  await begun;
  writes.finish();
  await Promise.all(results);
  expect(writes.groups).toEqual([[1, 2, 3]]);
});

test('a failed write fails exactly its entries, and the next goes on', async () => {
  const writes = createHeldWrites();
  const commit = new GroupCommit<number, number>(writes.write, 10);
  const begun = writes.next();
  const failing = commit.add(1);
  await begun;
  const fine = commit.add(2);
  const next = writes.next();
  writes.fail(new Error('no'));
  await expect(failing).rejects.toThrow('no');
  await next;
  writes.finish();
  expect(await fine).toBe(20);
});

test('one entry can fail alone', async () => {
  const writes = createHeldWrites();
  const commit = new GroupCommit<number, number>(writes.write, 10);
  const begun = writes.next();
  const results = Promise.allSettled([commit.add(1), commit.add(-2), commit.add(3)]);
  await begun;
  writes.finish();
  expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('a full group is written beside the one in flight, and one that has room waits', async () => {
  const writes = createHeldWrites();
  const commit = new GroupCommit<number, number>(writes.write, 2, 2);
  const begun = writes.next();
  const first = commit.add(1);
  await begun;
  const second = writes.next();
  const rest = [2, 3, 4, 5, 6].map((entry) => commit.add(entry));
  await second;
  // Two are in flight: the next is full, and has to wait all the same.
  expect(writes.groups).toEqual([[1], [2, 3]]);
  const third = writes.next();
  writes.finish();
  expect(await first).toBe(10);
  await third;
  writes.finish();
  writes.finish();
  const fourth = writes.next();
  await fourth;
  expect(writes.groups).toEqual([[1], [2, 3], [4, 5], [6]]);
  let isIdle = false;
  const idle = commit.idle().then(() => {
    isIdle = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isIdle).toBe(false);
  writes.finish();
  expect(await Promise.all(rest)).toEqual([20, 30, 40, 50, 60]);
  await idle;
});
