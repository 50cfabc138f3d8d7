import { readFile } from 'node:fs/promises';
import { type ProcessResult, runProcess } from '@pushfleet/testkit';
import { expect, test } from 'vitest';
import { explainResult, nextSteps } from '../demo/explain-result.ts';

async function demo(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<ProcessResult> {
  return runProcess({
    entry: new URL('../demo/main.ts', import.meta.url),
    args,
    env: { REDIS_URL: undefined, DATABASE_URL: undefined, PUSHFLEET_TEST_SERVICES: undefined, ...env },
    timeoutMs: 60_000,
  });
}

test.each([
  [['--notifications', '1e4'], '--notifications: must be a whole number from 1000 to 5000000, not "1e4"'],
  [['--notifications=-5'], '--notifications: must be a whole number from 1000 to 5000000, not "-5"'],
  [['--notifications', '999'], 'not "999"'],
  [['--notfications', '5'], "Unknown option '--notfications'"],
])('the demo refuses %j, and says how it is called', async (args, message) => {
  const { code, stdout, stderr } = await demo(args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain('usage: npm run demo -- [--notifications N]');
  expect(stdout).toBe('');
});

test('the picture of the demo shows what it prints', async () => {
  const picture = await readFile(new URL('../../docs/demo.svg', import.meta.url), 'utf8');
  const shown = [...picture.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
  const number = (name: string): number => {
    const line = shown.find((text) => text.trim().startsWith(name)) ?? '';
    return Number(/^ +([\d,]+)/.exec(line.trim().slice(name.length))?.[1]?.replaceAll(',', ''));
  };
  const accepted = number('accepted');
  const result = {
    enqueued: number('enqueued'),
    accepted,
    rejected: number('rejected'),
    expired: 0,
    cancelled: 0,
    dead: 0,
    gatewayReceivedUnique: accepted,
    lost: number('lost'),
    duplicates: number('after kill -9'),
    duplicatesAfterErrorPackets: number('after cut connections'),
    devicesDeactivated: number('devices deactivated'),
    seconds: Number(/\(([\d.]+) s\)/.exec(picture)?.[1]),
  };
  // Other words: npm run demo:picture draws it anew.
  expect(shown).toEqual(expect.arrayContaining([...explainResult(result), ...nextSteps]));
});

test('the demo says how it is called when asked', async () => {
  const { code, stdout } = await demo(['--help']);
  expect(code).toBe(0);
  expect(stdout).toContain('usage: npm run demo -- [--notifications N]');
});

test.each([
  ['REDIS_URL', 'redis://127.0.0.1:1'],
  ['DATABASE_URL', 'postgres://127.0.0.1:1/none'],
])(
  'the demo ends with what is wrong when %s names no server',
  { timeout: 120_000 },
  async (variable, url) => {
    const { code, stdout, stderr } = await demo(['--json'], { [variable]: url });
    expect(code).toBe(1);
    expect(stderr).toContain(`the server that ${variable} names cannot be used (connect ECONNREFUSED`);
    expect(stdout).toBe('');
  },
);
