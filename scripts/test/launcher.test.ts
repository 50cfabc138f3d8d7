import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runProcess, startProcess } from '@pushfleet/testkit';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { ensureDependencies, isInstalled } from '../setup/dependencies.mjs';
import { withSetupLock } from '../setup/setup-lock.mjs';
import { TestCounter } from '../setup/test-counter.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pushfleet-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const locked = {
  packages: {
    '': {},
    'packages/a': { version: '0.1.0' },
    'node_modules/a': { resolved: 'packages/a', link: true },
    'node_modules/x': { version: '1.0.0', integrity: 'sha512-x' },
    'node_modules/only-on-mac': { version: '1.0.0', integrity: 'sha512-m', optional: true },
  },
};

function without(path: string, change: object = {}): { packages: Record<string, object> } {
  const packages: Record<string, object> = { ...locked.packages, ...change };
  delete packages[path];
  return { packages };
}

test('dependencies count as installed when all that fit this machine are there', () => {
  expect(isInstalled(locked, locked)).toBe(true);
  expect(isInstalled(locked, without('node_modules/only-on-mac'))).toBe(true);
});

test('dependencies that cannot be had are told with the reason, also where npm was told to be silent', async () => {
  const names = { name: 'clone', version: '1.0.0', dependencies: { 'is-odd': '3.0.1' } };
  const resolved = 'http://127.0.0.1:9/is-odd-3.0.1.tgz';
  writeFileSync(join(folder, 'package.json'), JSON.stringify(names));
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({
      ...names,
      lockfileVersion: 3,
      packages: { '': names, 'node_modules/is-odd': { version: '3.0.1', resolved } },
    }),
  );
  const env = {
    ...process.env,
    npm_config_loglevel: 'silent',
    npm_config_registry: 'http://127.0.0.1:9/',
    npm_config_cache: join(folder, 'cache'),
    npm_config_fetch_retries: '0',
  };
  await expect(ensureDependencies(folder, env)).rejects.toThrow(/npm ci failed:\n.*ECONNREFUSED/s);
}, 120_000);

test('a missing, a changed and a leftover dependency are each noticed', () => {
  expect(isInstalled(locked, without('node_modules/x'))).toBe(false);
  expect(isInstalled(locked, without('', { 'node_modules/x': { version: '1.0.1', integrity: 'y' } }))).toBe(
    false,
  );
  expect(isInstalled(locked, without('', { 'node_modules/old': { version: '1.0.0' } }))).toBe(false);
});

test('two set-ups at once run one after the other', async () => {
  const file = join(folder, 'setup.lock');
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} ends`);
  };
  await Promise.all([withSetupLock(file, work('a')), withSetupLock(file, work('b'))]);
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

test('the lock of a process that is gone does not count', async () => {
  const file = join(folder, 'setup.lock');
  const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await new Promise((resolve) => gone.once('close', resolve));
  writeFileSync(file, String(gone.pid));
  expect(await withSetupLock(file, async () => 'done')).toBe('done');
});

test('the sum of the tests is read from what vitest says, in any split', () => {
  const output = Buffer.from(
    'apns-wire:test: \u001b[2m      Tests \u001b[22m \u001b[1m\u001b[32m31 passed\u001b[39m\u001b[22m (31)\n' +
      'worker:test:       Tests  2 failed | 7 passed | 1 skipped (10)\n' +
      ' Test Files  1 passed (1)\n',
  );
  for (let at = 0; at <= output.length; at += 1) {
    const counter = new TestCounter();
    counter.read(output.subarray(0, at));
    counter.read(output.subarray(at));
    expect(counter.summary).toBe('Tests: 38 passed, 2 failed, 1 skipped');
  }
});

test('the tests that failed are named, each once, with the first lines of what is wrong', () => {
  const counter = new TestCounter();
  counter.read(
    Buffer.from(
      '@pushfleet/worker:test: \u001b[41m FAIL \u001b[49m test/sending.test.ts > a push is sent\n' +
        '@pushfleet/worker:test:  FAIL  test/sending.test.ts > a push is sent\n' +
        '@pushfleet/worker:test: AssertionError: the sums differ\n' +
        ' FAIL  scripts/test/demo.test.ts > the demo runs\n' +
        '@pushfleet/worker:test: \n' +
        'Error: no demo\n' +
        '@pushfleet/worker:test: + 3\n' +
        '@pushfleet/worker:test:  ❯ test/sending.test.ts:12:3\n' +
        '@pushfleet/worker:test:  11| something else\n',
    ),
  );
  expect(counter.failed).toEqual([
    {
      name: '@pushfleet/worker test/sending.test.ts > a push is sent',
      lines: ['AssertionError: the sums differ', '+ 3'],
    },
    { name: 'scripts/test/demo.test.ts > the demo runs', lines: ['Error: no demo'] },
  ]);
});

const launcher = new URL('../run.mjs', import.meta.url);

test('an unknown task is named, with those there are', async () => {
  const result = await runProcess({ entry: launcher, args: ['tset'] });
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(/there is no task tset: there are test, .*check.*demo.*start:worker/);
});

test('a service under the launcher gets the signal, and its exit code comes back', async () => {
  const step = join(folder, 'step.mjs');
  const runStep = new URL('../setup/run-step.mjs', import.meta.url).href;
  const service = `process.on('SIGTERM', () => process.exit(7)); console.log('{"ready":true}'); setInterval(() => {}, 1e6)`;
  writeFileSync(
    step,
    `import { runStep } from ${JSON.stringify(runStep)};
     const step = { name: 'service', command: [process.execPath, '-e', ${JSON.stringify(service)}] };
     const result = await runStep(step, { root: ${JSON.stringify(folder)}, env: process.env, args: [] });
     process.exitCode = result.interrupted === 'SIGTERM' ? result.code : 1;`,
  );
  const started = await startProcess({ entry: step });
  expect(await started.stop()).toEqual({ code: 7, signal: null });
});

test('a signal during the set-up ends what it runs, and then the launcher', async () => {
  const file = join(folder, 'pid');
  const program = `require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid)); setInterval(() => {}, 1000)`;
  const steps = new URL('../setup/steps.mjs', import.meta.url).href;
  const launcher = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { runQuietly } from ${JSON.stringify(steps)};
      const command = [process.execPath, ['-e', ${JSON.stringify(program)}]];
      await runQuietly(...command, { cwd: '/', env: process.env, timeoutMs: 60_000 });`,
    ],
    { stdio: 'inherit' },
  );
  onTestFinished(() => void launcher.kill('SIGKILL'));
  const pid = await expect
    .poll(() => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0), { timeout: 20_000 })
    .toBeGreaterThan(0)
    .then(() => Number(readFileSync(file, 'utf8')));
  launcher.kill('SIGTERM');
  const [, signal] = (await once(launcher, 'exit')) as [number | null, NodeJS.Signals | null];
  expect(signal).toBe('SIGTERM');
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
}, 60_000);

test('where npm has written before the JSON, it is said how to leave that out', async () => {
  const run = promisify(execFile);
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const hint = /npm run -s pushfleet -- --json/;
  const loud = await run('npm', ['run', 'pushfleet', '--', '--version', '--json'], { cwd });
  expect(loud.stderr).toMatch(hint);
  const silent = await run('npm', ['run', '-s', 'pushfleet', '--', '--version', '--json'], { cwd });
  expect(silent.stderr).not.toMatch(hint);
}, 120_000);
