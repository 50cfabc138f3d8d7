import { expect, test } from 'vitest';
import { Problem } from '../src/http/problem.ts';
import { FileAdmission } from '../src/imports/file-admission.ts';

test('a caller reads two files at once, four callers four, and who has the fewest is next', async () => {
  const admission = new FileAdmission();
  const order: string[] = [];
  const enter = async (name: string, caller: string) => {
    const leave = await admission.enter(caller);
    order.push(name);
    return leave;
  };
  const first = await enter('a1', 'a');
  const second = await enter('a2', 'a');
  const third = enter('a3', 'a');
  const fourth = enter('a4', 'a');
  // Another caller's does not wait behind those of the first.
  const other = await enter('b1', 'b');
  const another = await enter('c1', 'c');
  const late = enter('d1', 'd');
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1']);
  first();
  (await late)();
  const leaveThird = await third;
  second();
  (await fourth)();
  leaveThird();
  other();
  another();
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'd1', 'a3', 'a4']);
  // All of it is given back.
  for (const leave of [await admission.enter('a'), await admission.enter('a')]) leave();
});

test('what waits is bounded, half of it for a caller, and is told to come again', async () => {
  const admission = new FileAdmission({ atOnce: 1, perCaller: 1, waiting: 4, waitMs: 20 });
  const leave = await admission.enter('a');
  const waiting = [admission.enter('a'), admission.enter('a'), admission.enter('b')];
  const settled = Promise.allSettled(waiting);
  const refusal = await admission.enter('a').catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Problem);
  expect(refusal).toMatchObject({ code: 'backpressure', retryAfterSeconds: 10 });
  // Nobody has left in time.
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  leave();
  (await admission.enter('a'))();
});
