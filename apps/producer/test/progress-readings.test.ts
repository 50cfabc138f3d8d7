import { expect, test } from 'vitest';
import { ProgressReadings } from '../src/broadcasts/progress-readings.ts';
import type { BroadcastAnswer } from '../src/schemas/broadcast-schemas.ts';

function openReadings() {
  const read: string[] = [];
  const readings = new ProgressReadings(async (broadcast) => {
    read.push(broadcast);
    return { broadcastId: broadcast } as BroadcastAnswer;
  });
  return { read, readings };
}

test('300 followers of a broadcast share one reading, and those of another have their own', async () => {
  const { read, readings } = openReadings();
  const followings = Array.from({ length: 300 }, () => readings.follow('a', 'key'));
  const other = readings.follow('b', 'key');
  const texts = await Promise.all([...followings, other].map(async (each) => (await each.read()).text));
  expect(read).toEqual(['a', 'b']);
  expect(new Set(texts)).toEqual(new Set(['{"broadcastId":"a"}', '{"broadcastId":"b"}']));
  await expect.poll(async () => [await other.read(), read.filter((id) => id === 'b').length][1]).toBe(2);
});

test('a reading that fails is made again', async () => {
  let calls = 0;
  const readings = new ProgressReadings(async () => {
    calls += 1;
    if (calls === 1) throw new Error('away');
    return {} as BroadcastAnswer;
  });
  const following = readings.follow('a', 'key');
  await expect(following.read()).rejects.toThrow('away');
  await expect.poll(async () => following.read().catch(() => undefined)).toBeDefined();
});

test('a key has a bound of streams, which are its own and free again when they end', () => {
  const { readings } = openReadings();
  const followings = Array.from({ length: 1_000 }, (_, place) => readings.follow(`b${place}`, 'one'));
  expect(() => readings.follow('a', 'one')).toThrow(
    expect.objectContaining({ code: 'rate-limited', retryAfterSeconds: 10 }),
  );
  readings.follow('a', 'other').end();
  followings[0]!.end();
  readings.follow('a', 'one').end();
});
