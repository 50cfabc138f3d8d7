import { connect, createServer, type Server, type Socket } from 'node:net';
import { findRedisProgram, generateTokens, openRedisProgram } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createPushQueue } from '../src/index.ts';
import { LaneQueue, WorkerLink } from '../src/worker/index.ts';

const [token = ''] = generateTokens({ count: 1 });
const program = await findRedisProgram();

/** A name that follows the primary, as a service's address does: connections that live stay where they are. */
async function openSwitch(port: () => number): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(port(), '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test.skipIf(program === undefined)(
  'a primary that is demoted in place is left for the one that took over',
  async () => {
    const servers = [await openRedisProgram(program!), await openRedisProgram(program!)] as const;
    onTestFinished(async () => {
      await Promise.all(servers.map((server) => server.stop()));
    });
    const [first, second] = servers.map(({ url }) => new Redis(url)) as [Redis, Redis];
    onTestFinished(() => [first, second].forEach((client) => void client.disconnect()));
    const [one, two] = servers.map(({ url }) => new URL(url)) as [URL, URL];
    await second.config('SET', 'requirepass', one.password);
    let primary = Number(one.port);
    const name = await openSwitch(() => primary);
    onTestFinished(() => name.close());

    const queue = createPushQueue({
      redis: `redis://:${one.password}@127.0.0.1:${name.port}`,
      prefix: 'role',
    });
    onTestFinished(() => queue.close());
    await queue.enqueue({ app: 'shop', token, alert: 'x' });
    await queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'a' });

    const link = new WorkerLink({
      redis: `redis://:${one.password}@127.0.0.1:${name.port}`,
      prefix: 'role',
      lockDurationMs: 15_000,
      stalledIntervalMs: 15_000,
    });
    onTestFinished(() => link.close());
    await link.open(5_000);
    const lane = new LaneQueue(link, 'worker', 'shop', 'transactional');
    expect(await lane.take()).toMatchObject({ kind: 'taken' });

    await first.config('SET', 'masterauth', one.password);
    await first.replicaof('127.0.0.1', Number(two.port));
    primary = Number(two.port);
    for (const key of [{}, { idempotencyKey: 'b' }]) {
      await expect
        .poll(() => queue.enqueue({ app: 'shop', token, alert: 'x', ...key }).then(() => 'taken'), {
          timeout: 10_000,
        })
        .toBe('taken');
    }
    const take = () =>
      lane.take().then(
        ({ kind }) => kind,
        () => 'failed',
      );
    await expect.poll(take, { timeout: 10_000 }).toBe('taken');
    expect(link.isReady).toBe(true);
  },
  60_000,
);
