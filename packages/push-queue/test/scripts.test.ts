import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { readScript, runScript, type ScriptName, scripts } from '../src/redis/scripts.ts';

const folder = fileURLToPath(new URL('../src/redis/scripts/', import.meta.url));
const names = Object.keys(scripts) as ScriptName[];

/** Names of keys or of arguments, as the head of a file has them; `test/lua.test.ts` says how. */
function namesAtHead(text: string, list: 'KEYS' | 'ARGV'): string {
  const lines = text.matchAll(new RegExp(`^-- ${list}\\[(\\d+|\\+)\\] +(\\w+)`, 'gm'));
  return [...lines].map(([, at, name]) => (at === '+' ? `…${name}` : name)).join(' ');
}

function readFile(name: string): string {
  return readFileSync(`${folder}${name}.lua`, 'utf8');
}

test('each file has a line in the table, and each line a file', () => {
  expect(
    globSync('*.lua', { cwd: folder })
      .map((file) => basename(file, '.lua'))
      .sort(),
  ).toEqual(names.sort());
});

test.each(names)('the head of %s.lua names what the table does', (name) => {
  const text = readFile(name);
  const { keys, args } = scripts[name];
  expect([namesAtHead(text, 'KEYS'), namesAtHead(text, 'ARGV')]).toEqual([keys, args]);
});

test('what goes to Redis holds no comment and no include', () => {
  for (const name of names) {
    const text = readScript(name);
    expect(text).not.toMatch(/^ *--/m);
    expect(text.split('\n').filter((line) => line.startsWith('#!')).length).toBeLessThanOrEqual(1);
    expect(text.startsWith('#!lua flags=allow-oom\n')).toBe(readFile(name).startsWith('#!'));
  }
  expect(readScript('report')).toContain('local function release(job, counts)');
});

test('a script is sent by its hash, and with its text to a Redis that does not know it', async () => {
  const server = await provideRedis({ own: true });
  const redis = new Redis(server.url);
  const monitor = await new Redis(server.url).monitor();
  onTestFinished(async () => {
    redis.disconnect();
    monitor.disconnect();
    await server.stop();
  });
  const sent: string[] = [];
  const last = Promise.withResolvers<void>();
  monitor.on('monitor', (_time: string, [command, ...args]: string[]) => {
    if (/^eval/i.test(command!)) sent.push(command!.toLowerCase());
    if (args[0] === 'last') last.resolve();
  });
  const remember = () =>
    runScript(redis, 'remember', { record: 'record' }, { value: 'first', lifeMs: 60_000 });
  expect([await remember(), await remember()]).toEqual([null, 'first']);
  await redis.script('FLUSH');
  expect(await remember()).toBe('first');
  await redis.echo('last');
  await last.promise;
  expect(sent).toEqual(['evalsha', 'eval', 'evalsha', 'evalsha', 'eval']);
});

test('what a script of ours is refused for is told as it is', async () => {
  const server = await provideRedis({ own: true });
  const redis = new Redis(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await server.stop();
  });
  await redis.lpush('record', 'no text');
  const run = runScript(redis, 'remember', { record: 'record' }, { value: 'first', lifeMs: 60_000 });
  await expect(run).rejects.toThrow(/WRONGTYPE/);
});
