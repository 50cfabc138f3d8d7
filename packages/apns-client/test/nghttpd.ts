import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestIdentity } from '@pushfleet/testkit/certificates';

/** Another implementation of HTTP/2, written in C++: answers 200 for the tokens it has files of, else 404. */
export interface Nghttpd {
  readonly port: number;
  close(): Promise<void>;
}

export function findNghttpd(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'nghttpd')).find((file) => existsSync(file));
}

export async function openNghttpd(
  server: TestIdentity,
  options: { readonly args?: readonly string[]; readonly tokens: readonly string[] } = { tokens: [] },
): Promise<Nghttpd> {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-nghttpd-'));
  const devices = join(folder, '3', 'device');
  await mkdir(devices, { recursive: true });
  await Promise.all([
    writeFile(join(folder, 'key.pem'), server.privateKeyPem),
    writeFile(join(folder, 'cert.pem'), server.certificatePem),
    ...options.tokens.map(async (token) => writeFile(join(devices, token), '')),
  ]);
  const port = await findFreePort();
  const files = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const child = spawn(
    findNghttpd() ?? 'nghttpd',
    ['-d', folder, '-a', '127.0.0.1', ...(options.args ?? []), String(port), ...files],
    { stdio: 'ignore' },
  );
  await waitUntilItListens(port, child);
  return {
    port,
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      }
      await rm(folder, { recursive: true });
    },
  };
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** It says nothing when it is ready. */
async function waitUntilItListens(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (child.exitCode !== null) throw new Error(`nghttpd exited with ${child.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
  throw new Error('nghttpd does not listen');
}
