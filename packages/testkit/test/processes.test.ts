import { existsSync, readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { ProcessError, runProcess, startProcess } from '../src/index.ts';

const entry = new URL('fixtures/service.ts', import.meta.url);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // What is dead and waits to be reaped still takes signals.
  return !(existsSync(`/proc/${pid}/stat`) && / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
}

test('a started process is ready with what its ready line says', async () => {
  const started = await startProcess({ entry, args: ['graceful'] });
  expect(started.ready).toEqual({ msg: 'ready', behaviour: 'graceful' });
  expect(await started.stop()).toEqual({ code: 0, signal: null });
  expect(started.process.lines.map((line) => line.text)).toContain('draining');
});

test('a later line can be waited for', async () => {
  const started = await startProcess({ entry, args: ['graceful'] });
  const draining = started.process.waitForLine(({ text }) => (text === 'draining' ? text : undefined), {
    what: 'did not drain',
    timeoutMs: 10_000,
  });
  started.process.signal('SIGTERM');
  expect(await draining).toBe('draining');
  expect(await started.process.exited).toEqual({ code: 0, signal: null });
});

test('a process that will not stop is killed at the deadline', async () => {
  const started = await startProcess({ entry, args: ['stubborn'], stopTimeoutMs: 200 });
  expect(await started.stop()).toEqual({ code: null, signal: 'SIGKILL' });
});

test('a process that fails to start gives its last lines', async () => {
  const failing = startProcess({ entry, args: ['fail'], name: 'the service' });
  await expect(failing).rejects.toThrow(ProcessError);
  await expect(failing).rejects.toThrow(/the service was not ready: it exited \(code 3\).*no configuration/s);
});

test('a process that never becomes ready is ended at the deadline', async () => {
  await expect(startProcess({ entry, args: ['never-ready'], readyTimeoutMs: 300 })).rejects.toThrow(
    /was not ready within 0.3 s/,
  );
});

test('a program that does not exist is said to be the trouble', async () => {
  await expect(startProcess({ command: '/nowhere/program' })).rejects.toThrow(/could not be started.*ENOENT/);
});

test('killing a process takes its children along', async () => {
  const started = await startProcess({ entry, args: ['with-child'] });
  const { childPid } = started.ready as { childPid: number };
  expect(isAlive(childPid)).toBe(true);
  await started.kill();
  await vi.waitFor(() => expect(isAlive(childPid)).toBe(false), { timeout: 5_000 });
});

test('a process that runs to its end gives its exit and both streams', async () => {
  const result = await runProcess({ entry, args: ['fail'] });
  expect(result).toMatchObject({ code: 3, signal: null, stdout: '', stderr: 'starting\nno configuration' });
});

test('a process that does not end is killed at the deadline', async () => {
  const result = await runProcess({ entry, args: ['stubborn'], timeoutMs: 500 });
  expect(result.signal).toBe('SIGKILL');
});

test('an environment variable can be taken away', async () => {
  vi.stubEnv('PUSHFLEET_TESTKIT_TEST', 'set');
  const result = await runProcess({
    command: process.execPath,
    args: ['-p', 'process.env.PUSHFLEET_TESTKIT_TEST'],
    env: { PUSHFLEET_TESTKIT_TEST: undefined },
  });
  vi.unstubAllEnvs();
  expect(result.stdout).toBe('undefined');
});

test('a started process dies with a parent that is killed', async () => {
  const holder = await startProcess({ entry: new URL('fixtures/hold-process.ts', import.meta.url) });
  const { pid } = holder.ready as { pid: number };
  expect(isAlive(pid)).toBe(true);
  holder.process.signal('SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000, interval: 20 });
});
