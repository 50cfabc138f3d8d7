import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProcess, startProcess } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const entry = new URL('./fixtures/service.ts', import.meta.url);
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-kit-'));
  await writeFile(join(folder, 'shop.p12'), '');
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    'apps: { shop: { topic: t, environment: sandbox, transport: binary, credential: { p12: shop.p12 } } }',
  );
  env = { REDIS_URL: 'redis://localhost', PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml') };
});
afterAll(async () => rm(folder, { recursive: true }));

const messages = (lines: readonly { text: string }[]) =>
  lines.flatMap(({ text }) => (text.startsWith('{') ? [(JSON.parse(text) as { msg: string }).msg] : []));

test('a signal releases what was opened, and the exit code is 0', async () => {
  const { process, ready, stop } = await startProcess({ entry, env });
  expect(ready).toMatchObject({ msg: 'ready', service: 'worker', port: 1234 });
  expect(await stop()).toMatchObject({ code: 0 });
  expect(messages(process.lines)).toEqual(['ready', 'stopping', 'connection closed', 'stopped']);
});

test('a second signal exits at once with 1', async () => {
  const { process } = await startProcess({ entry, env: { ...env, BEHAVIOUR: 'stuck' } });
  process.signal('SIGTERM');
  await process.waitForLine(({ text }) => (text.includes('stopping') ? true : undefined), {
    what: 'did not begin to stop',
    timeoutMs: 10_000,
  });
  process.signal('SIGINT');
  expect(await process.exited).toMatchObject({ code: 1 });
});

test('a stop that a launcher repeats is one stop', async () => {
  const { process } = await startProcess({ entry, env: { ...env, BEHAVIOUR: 'drains' } });
  process.signal('SIGTERM');
  await process.waitForLine(({ text }) => (text.includes('stopping') ? true : undefined), {
    what: 'did not begin to stop',
    timeoutMs: 10_000,
  });
  process.signal('SIGTERM');
  expect(await process.exited).toMatchObject({ code: 0 });
  expect(messages(process.lines)).toEqual(['ready', 'stopping', 'connection closed', 'stopped']);
});

test('a stop that fails exits with 1 and says what failed', async () => {
  const { process, stop } = await startProcess({ entry, env: { ...env, BEHAVIOUR: 'unclean' } });
  expect(await stop()).toMatchObject({ code: 1 });
  expect(process.lines.map(({ text }) => text).join('\n')).toContain('connection lost');
});

test('a start that fails gives up what it had opened, says why without a stack, and exits with 1', async () => {
  const result = await runProcess({ entry, env: { ...env, BEHAVIOUR: 'fails' } });
  expect(result.code).toBe(1);
  expect(result.stderr).toBe('Redis cannot be reached at redis:6379');
  expect(messages(result.lines)).toEqual(['connection closed']);
});

test('a signal during the start ends it in order', async () => {
  const { process, stop } = await startProcess({
    entry,
    env: { ...env, BEHAVIOUR: 'slow' },
    isReadyLine: ({ msg }) => msg === 'starting',
  });
  expect(await stop()).toMatchObject({ code: 0 });
  expect(messages(process.lines)).toEqual(['starting', 'stopping', 'connection closed', 'stopped']);
});

test('what nobody caught is logged and exits with 1', async () => {
  const result = await runProcess({ entry, env: { ...env, BEHAVIOUR: 'crashes' } });
  expect(result.code).toBe(1);
  expect(result.stdout).toContain('a bug');
});

test('problems with the configuration stop the start, all at once', async () => {
  const result = await runProcess({
    entry,
    env: { REDIS_URL: '', PUSHFLEET_CONFIG: join(folder, 'gone.yaml') },
  });
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(
    /^There are 2 problems with the configuration:\n {2}REDIS_URL: .*\n {2}PUSHFLEET_CONFIG: /,
  );
});
