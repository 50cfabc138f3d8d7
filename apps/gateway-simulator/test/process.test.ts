import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { runProcess, startSimulator } from '@pushfleet/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const entry = new URL('../src/main.ts', import.meta.url);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulator-process-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test('one ready line tells the ports and the certificates; SIGTERM ends it with 0', async () => {
  const simulator = await startSimulator({ tlsDir: folder });
  const lines = simulator.process.lines.filter(({ stream }) => stream === 'stdout');
  expect(lines.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
    {
      ready: true,
      binaryPort: simulator.binaryPort,
      feedbackPort: simulator.feedbackPort,
      http2Port: simulator.http2Port,
      controlPort: simulator.controlPort,
      tlsDir: folder,
    },
  ]);
  expect(await simulator.stop()).toMatchObject({ code: 0, signal: null });
});

test('an open connection does not keep SIGTERM from ending it', async () => {
  const simulator = await startSimulator({ tlsDir: folder });
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'client.pem', 'client-key.pem'].map(async (name) => readFile(join(folder, name))),
  );
  const socket = connect({ host: 'localhost', port: simulator.binaryPort, ca: ca!, cert: cert!, key: key! });
  await once(socket, 'secureConnect');
  const cut = new Promise((resolve) => socket.once('close', resolve));
  // A reset is as good an end as any.
  socket.on('error', () => undefined);
  expect(await simulator.stop()).toMatchObject({ code: 0, signal: null });
  await cut;
});

test('certificates that are there are used again', async () => {
  const names = ['ca.pem', 'client.pem', 'client-key.pem', 'server.pem'];
  const read = async () => Promise.all(names.map(async (name) => readFile(join(folder, name), 'utf8')));
  await (await startSimulator({ tlsDir: folder })).stop();
  const before = await read();
  await (await startSimulator({ tlsDir: folder })).stop();
  expect(await read()).toEqual(before);
});

test('one more name for the server makes another server certificate, by the same authority', async () => {
  const read = async (name: string) => readFile(join(folder, name), 'utf8');
  await (await startSimulator({ tlsDir: folder })).stop();
  const before = [await read('ca.pem'), await read('server.pem')];
  await (await startSimulator({ tlsDir: folder, args: ['--server-name', 'simulator'] })).stop();
  expect(await read('ca.pem')).toBe(before[0]);
  expect(await read('server.pem')).not.toBe(before[1]);
});

test('without --tls-dir the certificates go with the process', async () => {
  const result = runProcess({
    command: process.execPath,
    args: ['--input-type=module', '-e', selfStop],
    env: { ENTRY: entry.href },
  });
  const { tlsDir } = JSON.parse((await result).stdout) as { tlsDir: string };
  expect(tlsDir).toContain('pushfleet-simulator-');
  expect(existsSync(tlsDir)).toBe(false);
});

/** Runs the simulator in this process and sends it SIGTERM when it is ready. */
const selfStop = `
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text) => { write(text); process.kill(process.pid, 'SIGTERM'); return true; };
  await import(process.env.ENTRY);
`;

describe('a start that cannot be is one clear error and exit code 1', () => {
  test.each([
    [['--binary-port', 'abc'], '--binary-port must be a whole number from 0 to 65535, not "abc"'],
    [['--control-port', '65536'], '--control-port must be a whole number from 0 to 65535, not "65536"'],
    [['--environment', 'staging'], '--environment must be production, sandbox or any, not "staging"'],
    [['--bianry-port', '1'], "Unknown option '--bianry-port'"],
    [['start'], "Unexpected argument 'start'"],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runProcess({ entry, args });
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: `simulator: ${message}\nTry --help.`,
    });
  });

  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const args = ['--tls-dir', folder, '--feedback-port', String(port)];
    const { code, stderr } = await runProcess({ entry, args });
    expect(stderr).toContain(`--feedback-port: listen EADDRINUSE`);
    expect(code).toBe(1);
    other.close();
    await once(other, 'close');
  });

  test('a file that is no certificate', async () => {
    await writeFile(join(folder, 'ca.pem'), 'no certificate');
    const { code, stderr } = await runProcess({ entry, args: ['--tls-dir', folder] });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `simulator: ${join(folder, 'ca.pem')} is not a certificate in PEM`,
    });
  });
});
