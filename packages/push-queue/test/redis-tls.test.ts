import { once } from 'node:events';
import { findRedisProgram, openTlsRedis, type TlsRedis, tlsRedisClient } from '@pushfleet/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPushQueue, createRedisClient } from '../src/index.ts';

// A redis-server that speaks TLS and wants a certificate of its clients. Where none is on the PATH, or it was built
// without TLS, there is nothing to try.

const token = 'ab'.repeat(32);
let server: TlsRedis | undefined;

beforeAll(async () => {
  const program = await findRedisProgram();
  if (program !== undefined) server = await openTlsRedis(program);
});
afterAll(async () => server?.stop());

const send = async (redis: string) => {
  const queue = createPushQueue({ redis, prefix: 'pushfleet-test-tls', writeTimeoutMs: 1_500 });
  try {
    return await queue.enqueue({ app: 'shop', token, alert: 'over TLS' });
  } finally {
    await queue.close();
  }
};

test('sends go over TLS, with a certificate of our own', async ({ skip }) => {
  if (server === undefined) return skip();
  const result = await send(server.url(tlsRedisClient));
  expect(result.notificationId).toMatch(/^[0-9a-f-]{36}$/);
});

test('what a connection says after it failed ends nothing', async ({ skip }) => {
  if (server === undefined) return skip();
  const client = createRedisClient(server.url(tlsRedisClient)) as Redis;
  const errors: Error[] = [];
  client.on('error', (error: Error) => errors.push(error));
  await once(client, 'ready');
  const { stream } = client;
  // As Node.js does it: first the write that fails, then an alert that was read behind it.
  stream.emit('error', new Error('write EPIPE'));
  stream.emit('error', new Error('SSL alert number 116'));
  stream.destroy();
  await once(client, 'ready');
  expect(errors.map(({ message }) => message)).toEqual(['write EPIPE']);
  client.disconnect();
});

test.each<[name: string, parameters: Parameters<TlsRedis['url']>[0]]>([
  ['whose authority is unknown', { cert: 'client.pem', key: 'client-key.pem' }],
  ['that gets no certificate of ours', { ca: 'ca.pem' }],
])('a server %s is not sent to', async (_, parameters) => {
  if (server === undefined) return;
  await expect(send(server.url(parameters))).rejects.toMatchObject({
    code: 'redis-unavailable',
  });
});
