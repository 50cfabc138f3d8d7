import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runProcess } from '@pushfleet/testkit';
import { expect, test } from 'vitest';
import { runCli } from './run-cli.ts';

test('without a command it shows what there is, and exits with 2', async () => {
  const { exitCode, stdout, stderr } = await runCli([]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('credentials');
});

test('help is a result: on standard output, with 0', async () => {
  const { exitCode, stdout, stderr } = await runCli(['--help']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toContain('Exit codes:');
});

test.each([
  ['an unknown command', ['frobnicate'], "unknown command 'frobnicate'"],
  ['an unknown option', ['credentials', 'inspect', 'x.pem', '--nope'], "unknown option '--nope'"],
  ['a misspelt option', ['send', '--ap', 'shop'], '(Did you mean --app?)'],
  ['a missing argument', ['credentials', 'inspect'], "missing required argument 'file'"],
])('%s is told, with 2', async (_, args, message) => {
  const { exitCode, stdout, stderr } = await runCli(args);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test('with --json a wrong call is JSON too', async () => {
  const run = await runCli(['--json', 'credentials', 'inspect']);
  expect(run.exitCode).toBe(2);
  expect(run.json).toEqual({
    error: { code: 'usage', message: "error: missing required argument 'file'" },
  });
});

test('a pipe that closes early ends it without a word', async () => {
  const entry = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const command = '"$1" "$2" --help | head -1';
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command, 'sh', process.execPath, entry]);
  expect(stdout).toMatch(/^Usage: pushfleet/);
  expect(stderr).toBe('');
});

test('runs as a process', async () => {
  const { code, stdout } = await runProcess({
    entry: new URL('../src/main.ts', import.meta.url),
    args: ['credentials', 'inspect', 'does-not-exist.p12', '--json'],
  });
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    error: { code: 'file-missing', message: 'There is no file does-not-exist.p12' },
  });
});
