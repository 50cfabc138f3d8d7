import { expect, test } from 'vitest';
import { WriteAhead } from '../src/binary/write-ahead.ts';

const create = (expectsErrors = false) => new WriteAhead(50, expectsErrors);

/** The lengths of the stretches of a connection on which no error comes, until there are none any more. */
function stretches(ahead: WriteAhead): number[] {
  const stretch = ahead.begin();
  stretch.opened(5);
  const lengths: number[] = [];
  for (let now = 0; Number.isFinite(stretch.room); now += 5) {
    lengths.push(stretch.room);
    stretch.written(stretch.room);
    stretch.flushed(now);
    expect(stretch.waitMs(now + 4)).toBe(1);
    stretch.poll(now + 5);
  }
  return lengths;
}

test('before anything has gone wrong, a connection writes as fast as it can', () => {
  expect(stretches(create())).toEqual([]);
});

test('after an error the next connection begins with what was good of the one before, and doubles', () => {
  const ahead = create();
  ahead.cutAfter(1_500);
  expect(stretches(ahead)).toEqual([3_000, 6_000, 12_000, 24_000]);
  // It has shown that errors come seldom.
  expect(stretches(ahead)).toEqual([]);
});

test('errors that come at once do not make it shorter than the shortest, and those that come late not at all', () => {
  const ahead = create();
  ahead.cutAfter(0);
  expect(ahead.begin().room).toBe(50);
  ahead.cutAfter(20_000);
  expect(stretches(ahead)).toEqual([]);
});

test('what has had errors begins with the shortest, each time', () => {
  const ahead = create(true);
  const growing = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
  expect(stretches(ahead)).toEqual(growing);
  expect(stretches(ahead)).toEqual(growing);
});

test('while the kernel has not taken what was written, no silence counts', () => {
  const ahead = create(true);
  const stretch = ahead.begin();
  stretch.opened(5);
  stretch.written(50);
  stretch.poll(1_000);
  expect(stretch.room).toBe(0);
  stretch.flushed(1_000);
  stretch.poll(1_004);
  expect(stretch.room).toBe(0);
  stretch.poll(1_005);
  expect(stretch.room).toBe(100);
});

test('what is written little by little is waited for like the rest, and waits never long', () => {
  const stretch = create(true).begin();
  stretch.opened(60_000);
  stretch.written(40);
  stretch.flushed(0);
  stretch.poll(249);
  expect(stretch.room).toBe(10);
  stretch.poll(250);
  expect(stretch.room).toBe(100);
});

test('how long it waits is learned from how late errors come, and not from the handshake', () => {
  const ahead = create(true);
  const waitMs = (): number => {
    const stretch = ahead.begin();
    stretch.opened(5);
    stretch.written(50);
    stretch.flushed(0);
    return stretch.waitMs(0);
  };
  expect(waitMs()).toBe(5);
  ahead.errorCame(400);
  expect(waitMs()).toBe(500);
  // One that comes sooner says little about the next.
  ahead.errorCame(80);
  expect(waitMs()).toBe(450);
  ahead.errorCame(800);
  expect(waitMs()).toBe(1_000);
  ahead.errorCame(60_000);
  expect(waitMs()).toBe(2_000);
});
