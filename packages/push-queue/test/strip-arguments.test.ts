import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createPushQueue, PushQueueError } from '../src/index.ts';
import { messageWithoutArguments, stripArguments } from '../src/strip-arguments.ts';

const canary = 'canary-5f2a';

test('an error of Redis loses the arguments of its command and of those beside it', async () => {
  const redis = new Redis(inject('redisUrl'), { protocol: 2 });
  onTestFinished(() => redis.disconnect());
  const refused = (await redis.call('NONESUCH', canary, canary).catch((error: unknown) => error)) as Error;
  expect(inspect(refused, { depth: 9 })).toContain(canary);
  expect(messageWithoutArguments(refused)).toBe("ERR unknown command 'NONESUCH'");
  const beside = Object.assign(new Error('EXECABORT'), {
    previousErrors: [Object.assign(new Error('OOM'), { command: { name: 'set', args: [canary] } })],
    command: { name: 'exec', args: [canary] },
    cause: Object.assign(new Error('READONLY'), { command: { name: 'get', args: [canary] } }),
  });
  expect(inspect(stripArguments(beside), { depth: 9 })).not.toContain(canary);
  expect(
    inspect(new PushQueueError('redis-unavailable', 'x', { cause: beside }), { depth: 9 }),
  ).not.toContain(canary);
});

test('what Redis refuses of a send tells nothing of what was sent, however deep one looks', async () => {
  const admin = new Redis(inject('redisUrl'));
  const user = `user-${randomUUID()}`;
  await admin.call(
    'ACL',
    'SETUSER',
    user,
    'on',
    `>${canary}`,
    '~*',
    '&*',
    '+@all',
    '-eval',
    '-evalsha',
    '-multi',
    '-set',
  );
  onTestFinished(async () => {
    await admin.call('ACL', 'DELUSER', user);
    admin.disconnect();
  });
  const url = new URL(inject('redisUrl'));
  url.username = user;
  url.password = canary;
  const queue = createPushQueue({ redis: url.href, prefix: `${inject('redisPrefix')}-strip` });
  onTestFinished(() => queue.close());
  const token = 'ab12'.repeat(16);
  const error = await queue
    .enqueue({ app: 'shop', token, payload: { aps: { alert: canary } }, idempotencyKey: 'order-1' })
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(PushQueueError);
  const text = inspect(error, { depth: 20 });
  for (const secret of [canary, token, Buffer.from(token, 'hex').toString('base64').slice(0, 30)]) {
    expect(text).not.toContain(secret);
  }
  expect(text).toContain('NOPERM');
});
