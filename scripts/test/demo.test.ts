import { type ProcessResult, runProcess } from '@pushfleet/testkit';
import { expect, test } from 'vitest';

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
