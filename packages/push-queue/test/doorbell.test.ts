import { connect, createServer, type Socket } from 'node:net';
import { startProcess } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test } from 'vitest';

/** A way to Redis that breaks, for as long as it is told to, as soon as a client subscribes. */
async function openFlappingRedis() {
  const target = new URL(inject('redisUrl'));
  const sockets = new Set<Socket>();
  const state = { breaks: false, broken: 0 };
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 6379), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [client, upstream].forEach((each) => void each.destroy()));
    }
    client.on('data', (chunk) => {
      if (state.breaks && /\bsubscribe\b/i.test(chunk.toString('latin1'))) {
        state.broken++;
        client.resetAndDestroy();
      } else upstream.write(chunk);
    });
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    state,
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
}

test('a Redis that flaps while a service subscribes does not end the service', async () => {
  const redis = await openFlappingRedis();
  const { process, stop } = await startProcess({
    entry: new URL('./fixtures/doorbell.ts', import.meta.url),
    env: { REDIS_URL: redis.url },
    isReadyLine: ({ listening }) => listening === true,
  });
  redis.state.breaks = true;
  redis.cut();
  await expect.poll(() => redis.state.broken, { timeout: 20_000 }).toBeGreaterThanOrEqual(4);
  redis.state.breaks = false;
  const listening = () => process.lines.filter(({ text }) => text.includes('"listening"')).length;
  await expect.poll(listening, { timeout: 20_000 }).toBe(2);
  expect(await stop()).toMatchObject({ code: 0 });
}, 60_000);
