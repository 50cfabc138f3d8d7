import { readFileSync } from 'node:fs';
import { generateTokens, provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createPushQueue, pauseApp, readPauses } from '../src/index.ts';
import { FleetFacts, OutcomeReader } from '../src/outcomes/index.ts';
import { LaneQueue, WorkerLink } from '../src/worker/index.ts';

const [token = ''] = generateTokens({ count: 1 });
/** What docs/operations.md says that services need. */
const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
const [, commands = '', keys = '', channels = ''] =
  /Services need `(\+@all[^`]*)` on the keys `([^`]*)` and the channels\s+`([^`]*)`/.exec(page) ?? [];

test.each([commands, `${commands} -info`])('the rights of the documents suffice: %s', async (rights) => {
  const server = await provideRedis({ own: true });
  const admin = new Redis(server.url);
  onTestFinished(async () => {
    admin.disconnect();
    await server.stop();
  });
  await admin.call('ACL', 'SETUSER', 'service', 'on', '>secret', keys, channels, ...rights.split(' '));
  const url = new URL(server.url);
  url.username = 'service';
  url.password = 'secret';
  const options = { redis: url.href, prefix: 'pushfleet' };

  const queue = createPushQueue(options);
  onTestFinished(() => queue.close());
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
  await queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'a' });
  const link = new WorkerLink({ ...options, lockDurationMs: 15_000, stalledIntervalMs: 15_000 });
  onTestFinished(() => link.close());
  await link.open(5_000);
  const lane = new LaneQueue(link, 'worker', 'shop', 'transactional');
  const taken = await lane.take();
  if (taken.kind !== 'taken') throw new Error('nothing was taken');
  expect(await lane.renew([taken.job])).toEqual([]);
  await lane.putBack(taken.job);
  const control = { redis: link.client, prefix: 'pushfleet' };
  await pauseApp(control, 'shop', { cause: 'operator', reason: 'x', sinceMs: 1 });
  expect(await readPauses(control, 'shop')).toHaveLength(1);
  const facts = new FleetFacts(options);
  onTestFinished(() => facts.close());
  expect(await facts.read(['shop'])).toMatchObject([
    { lanes: { transactional: { enqueued: 2, waiting: 2 } } },
  ]);
  expect(await facts.memory()).toHaveLength(rights.endsWith('-info') ? 0 : 1);
  const reader = new OutcomeReader({ ...options, consumer: 'one' });
  onTestFinished(() => reader.close());
  expect(await reader.read(['shop'], 1)).toMatchObject({ failed: [] });
});
