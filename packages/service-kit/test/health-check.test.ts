import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const program = fileURLToPath(new URL('../src/health-check.ts', import.meta.url));

/** A /proc with these processes: their arguments, the first one's being number 1. */
async function procOf(...commands: readonly (readonly string[])[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-proc-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  for (const [index, command] of commands.entries()) {
    await mkdir(join(folder, String(index + 1)));
    await writeFile(join(folder, String(index + 1), 'cmdline'), `${command.join('\0')}\0`);
  }
  return folder;
}

/** An admin port that answers /livez with this status. */
async function listen(status: number): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/livez' ? status : 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function check(proc: string, env: NodeJS.ProcessEnv = {}): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const { PATH } = process.env;
    execFile(process.execPath, [program, proc], { env: { PATH, ...env } }, (error, output) => {
      resolve({ code: error === null ? 0 : Number(error.code), output });
    });
  });
}

test.each([
  ['producer', 'apps/producer/src/main.ts', 9100],
  ['worker', 'apps/worker/src/main.ts', 9101],
  ['sweeper', '/srv/pushfleet/apps/feedback-sweeper/src/main.ts', 9102],
])('the %s is asked at the port it has without a variable', async (service, entry, port) => {
  const { output } = await check(await procOf(['/sbin/init'], ['node', entry]));
  expect(output).toContain(`${service}, http://127.0.0.1:${port}/livez: `);
});

test.each([
  [200, 0],
  [503, 1],
])('an answer of %i ends with %i', async (status, code) => {
  const proc = await procOf(['node', 'apps/worker/src/main.ts']);
  expect(await check(proc, { PUSHFLEET_ADMIN_PORT: String(await listen(status)) })).toMatchObject({ code });
});

test('nothing that answers is told with the address that was asked', async () => {
  const port = await listen(200);
  const proc = await procOf(['node', 'apps/worker/src/main.ts']);
  const env = { PUSHFLEET_ADMIN_PORT: String(port), PUSHFLEET_ADMIN_HOST: '127.0.0.2' };
  const { code, output } = await check(proc, env);
  expect(code).toBe(1);
  expect(output).toContain(`worker, http://127.0.0.2:${port}/livez: `);
});

test("an operator's command has nothing to be asked", async () => {
  const proc = await procOf(['node', 'apps/cli/src/main.ts', 'doctor']);
  expect(await check(proc)).toEqual({ code: 0, output: 'no service runs here\n' });
});
