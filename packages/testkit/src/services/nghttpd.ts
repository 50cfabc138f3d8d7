import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestIdentity } from '../certificates/test-identity.ts';
import { ProcessError } from '../processes/supervised-process.ts';
import { findProgram } from './find-program.ts';
import { startOnFreePort } from './free-port.ts';
import { createPrivateFolder } from './private-folder.ts';

/** Another implementation of HTTP/2, in C++: answers 200 for the device tokens it was given, and else 404. */
export interface Nghttpd {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

export interface NghttpdOptions {
  readonly server: TestIdentity;
  /** Hexadecimal. */
  readonly tokens: readonly string[];
  /** More arguments, as nghttpd takes them. */
  readonly args?: readonly string[];
}

/** The program of Debian's package nghttp2-server, where it is installed. */
export async function findNghttpd(): Promise<string | undefined> {
  return findProgram(['nghttpd']);
}

/** @throws ProcessError when there is no nghttpd, or it does not start. */
export async function openNghttpd({ server, tokens, args = [] }: NghttpdOptions): Promise<Nghttpd> {
  const program = await findNghttpd();
  if (program === undefined)
    throw new ProcessError('There is no nghttpd (Debian: nghttp2-server) on the PATH');
  const folder = await createPrivateFolder('nghttpd');
  const devices = join(folder.path, '3', 'device');
  const [key, cert] = [join(folder.path, 'key.pem'), join(folder.path, 'cert.pem')];
  await mkdir(devices, { recursive: true });
  await Promise.all([
    writeFile(key, server.privateKeyPem),
    writeFile(cert, server.certificatePem),
    ...tokens.map(async (token) => writeFile(join(devices, token), '')),
  ]);
  try {
    const { port, server: child } = await startOnFreePort(async (port) => {
      const child = spawn(program, ['-d', folder.path, '-a', '127.0.0.1', ...args, String(port), key, cert], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      if (child.pid !== undefined) folder.guard.watch(child.pid);
      await untilItListens(port, child);
      return child;
    });
    return {
      port,
      // It listens, so it was started.
      pid: child.pid!,
      close: async () => {
        if (child.exitCode === null && child.signalCode === null) {
          const exit = once(child, 'exit');
          child.kill('SIGKILL');
          await exit;
        }
        await folder.remove();
      },
    };
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
}

/** It says nothing when it is ready. */
async function untilItListens(port: number, child: ChildProcess): Promise<void> {
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  for (let tries = 0; tries < 500 && child.exitCode === null; tries++) {
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
  child.kill('SIGKILL');
  throw new ProcessError('nghttpd does not listen', output);
}
