import { generateTokens } from '@pushfleet/testkit';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { RedisRoom } from '../src/redis-room.ts';
import { openProducer } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 83 });

function openRoom() {
  const state = { used: 0, limit: 1_000, isAllowed: true };
  const info = async () => {
    if (!state.isAllowed) throw new Error('NOPERM');
    return `# Memory\r\nused_memory:${state.used}\r\nmaxmemory:${state.limit}\r\n`;
  };
  const room = new RedisRoom({
    redis: { isCluster: false, options: {}, info } as unknown as Redis,
    readingMs: 5,
  });
  onTestFinished(() => room.close());
  return { room, state };
}

test('sends are refused while there is still room for workers to finish, and taken again after', async () => {
  const { room, state } = openRoom();
  const probe = await openProducer({ room });
  onTestFinished(() => probe.close());
  const send = () => probe.call('POST', '/v1/notifications', { body: { app: 'shop', token, alert: 'x' } });
  state.used = 899;
  expect((await send()).status).toBe(202);
  state.used = 900;
  await expect.poll(() => room.isFull).toBe(true);
  const refused = await send();
  expect(refused).toMatchObject({ status: 503, body: { code: 'backpressure' } });
  expect(refused.headers['retry-after']).toBe('5');
  expect((await probe.call('POST', '/v1/apps/shop/pause', { body: {} })).status).toBe(200);
  state.used = 100;
  await expect.poll(() => room.isFull).toBe(false);
  expect((await send()).status).toBe(202);
});

test.each([
  ['a Redis without a limit', { limit: 0 }],
  ['a Redis that does not say', { isAllowed: false }],
])('%s has room', async (_name, change) => {
  const { room, state } = openRoom();
  state.used = 950;
  await expect.poll(() => room.isFull).toBe(true);
  Object.assign(state, change);
  await expect.poll(() => room.isFull).toBe(false);
  room.check();
});
