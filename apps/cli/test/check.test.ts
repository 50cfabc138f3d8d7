import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { findFreePort, type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CredentialFiles, createCredentialFiles } from './credential-files.ts';
import { runCli } from './run-cli.ts';

let simulator: Simulator;
let files: CredentialFiles;
beforeAll(async () => {
  [simulator, files] = await Promise.all([
    startSimulator({ args: ['--environment', 'production'] }),
    createCredentialFiles(),
  ]);
});
beforeEach(() => simulator.control.reset());
afterAll(() => Promise.all([simulator.stop(), files.remove()]));

const inTlsDir = (name: string): string => join(simulator.tlsDir, name);

interface Step {
  readonly step: string;
  readonly result: string;
  readonly detail: string;
  readonly advice?: string;
}

async function check(...args: string[]) {
  const run = await runCli(['credentials', 'check', ...args, '--json']);
  const { exitCode, json } = run;
  const steps = (json.steps ?? []) as Step[];
  return { exitCode, json, steps, failed: steps.filter(({ result }) => result === 'failed') };
}

const use = (environment = 'production'): string[] => [
  ...['--topic', 'com.example.shop', '--environment', environment],
  ...['--host', 'localhost', '--ca', inTlsDir('ca.pem')],
];
const client = (): string[] => [inTlsDir('client.pem'), '--key', inTlsDir('client-key.pem')];
const binary = (...more: string[]): string[] => [
  ...[...client(), ...use(), '--transport', 'binary', '--port', String(simulator.binaryPort)],
  ...['--hold', '100', ...more],
];
const http2 = (): string[] => [...use(), '--port', String(simulator.http2Port)];
const key = (keyId = 'SIMULATED1'): string[] => [
  ...[inTlsDir('AuthKey.p8'), '--key-id', keyId, '--team-id', 'PUSHFLEET1'],
];

async function issue(name: string, environments: string[]): Promise<string[]> {
  const answer = await fetch(`http://127.0.0.1:${simulator.controlPort}/certificates`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, topic: 'com.example.shop', environments }),
  });
  const identity = (await answer.json()) as { certificate: string; key: string };
  return [identity.certificate, '--key', identity.key];
}

/** Answers the first bytes it gets with these, and closes. */
async function openFakeGateway(answer: Buffer): Promise<AsyncDisposable & { readonly port: number }> {
  const [key, cert] = await Promise.all(
    ['server-key.pem', 'server.pem'].map(async (name) => readFile(inTlsDir(name))),
  );
  const server = createTlsServer({ key, cert, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('the binary gateway', () => {
  test('takes the certificate; nothing is sent', async () => {
    const { exitCode, steps, json } = await check(...binary());
    expect({ exitCode, inOrder: json.inOrder }).toEqual({ exitCode: 0, inOrder: true });
    expect(steps.map(({ step }) => step)).toEqual([
      'credential',
      `gateway: connection to localhost:${simulator.binaryPort}`,
      'gateway: its certificate',
      'gateway: TLS handshake',
      'gateway: our certificate',
    ]);
    expect(await simulator.control.ledger()).toMatchObject({ received: 0, rejected: 0, discarded: 0 });
  });

  test('answers a known-bad frame, which proves the path', async () => {
    const { exitCode, steps } = await check(...binary('--prove'));
    expect(exitCode).toBe(0);
    expect(steps.at(-1)).toMatchObject({
      step: 'gateway: a known-bad frame',
      detail: expect.stringContaining('status 2'),
    });
    expect(await simulator.control.ledger()).toMatchObject({ received: 0, rejected: 1 });
  });

  test.each([
    [
      'another status',
      '080600000001',
      'answered with status 6, where 2 is due',
      'a matter of the certificate',
    ],
    [
      'something else',
      '485454502f312e31',
      'answered with 485454502f31, which is no error packet',
      'binary gateway?',
    ],
    ['a close', '', 'closed without an answer', 'command 0 alone'],
  ])('answers it otherwise: %s', async (_, answer, detail, advice) => {
    await using gateway = await openFakeGateway(Buffer.from(answer, 'hex'));
    const args = [...client(), ...use(), '--transport', 'binary', '--port', String(gateway.port)];
    const { exitCode, failed } = await check(...args, '--hold', '50', '--prove');
    expect(exitCode).toBe(1);
    expect(failed).toMatchObject([{ step: 'gateway: a known-bad frame', detail }]);
    expect(failed[0]?.advice).toContain(advice);
  });

  test('cuts a certificate for the other environment right after the handshake', async () => {
    const sandboxed = await issue('sandboxed', ['development']);
    const { exitCode, failed } = await check(
      ...[...sandboxed, ...use('sandbox'), '--transport', 'binary', '--port', String(simulator.binaryPort)],
    );
    expect(exitCode).toBe(1);
    expect(failed).toEqual([
      expect.objectContaining({
        step: 'gateway: our certificate',
        detail: 'the connection was closed right after the handshake',
        advice: expect.stringContaining('the other environment'),
      }),
    ]);
  });

  test('refuses a certificate of an authority that it does not trust', async () => {
    const { exitCode, failed } = await check(
      ...[files.path('ck.pem'), ...use(), '--transport', 'binary', '--port', String(simulator.binaryPort)],
    );
    expect(exitCode).toBe(1);
    expect(failed).toEqual([
      expect.objectContaining({
        step: 'gateway: our certificate',
        advice: expect.stringContaining('an authority that they do not trust'),
      }),
    ]);
  });
});

describe('the feedback service', () => {
  const tuple = { token: 'ab'.repeat(32), time: 1_700_000_000 };
  const feedback = (...more: string[]): string[] =>
    binary('--feedback-port', String(simulator.feedbackPort), ...more);

  test('is looked at without clearing its list', async () => {
    await simulator.control.feedback([tuple]);
    const { exitCode, steps } = await check(...feedback());
    expect(exitCode).toBe(0);
    expect(steps.at(-1)).toMatchObject({ step: 'feedback service', detail: 'reachable' });
    const waiting = await fetch(`http://127.0.0.1:${simulator.controlPort}/feedback`);
    expect(await waiting.json()).toEqual({ waiting: 1 });
  });

  test('is read into a file when that is wanted', async () => {
    await simulator.control.feedback([tuple]);
    const path = files.path('feedback.ndjson');
    const { exitCode, steps } = await check(...feedback('--read-feedback', path));
    expect(exitCode).toBe(0);
    expect(steps.at(-1)?.detail).toContain('1 tuple written');
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(tuple);
  });

  test('is not read into a file that is there', async () => {
    await simulator.control.feedback([tuple]);
    const path = await files.write('kept.ndjson', 'something\n');
    const { exitCode, json } = await check(...feedback('--read-feedback', path));
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({ error: { code: 'file-exists' } });
    expect(await readFile(path, 'utf8')).toBe('something\n');
  });
});

describe('the HTTP/2 gateway', () => {
  test.each([
    ['a certificate', client],
    ['a provider key', key],
  ])('takes %s; nothing is sent, until it is to be proved', async (_, credential) => {
    const { exitCode, steps } = await check(...credential(), ...http2());
    expect(exitCode).toBe(0);
    expect(steps.map(({ step }) => step)).toContain('gateway: HTTP/2');
    expect(await simulator.control.ledger()).toMatchObject({ received: 0, rejected: 0 });
    const proved = await check(...credential(), ...http2(), '--prove');
    expect(proved.exitCode).toBe(0);
    expect(proved.steps.at(-1)?.detail).toContain('400 BadDeviceToken');
    expect(await simulator.control.ledger()).toMatchObject({ received: 0, rejected: 1 });
  });

  test('does not know the key', async () => {
    const { exitCode, failed } = await check(...key('OTHERKEY12'), ...http2(), '--prove');
    expect(exitCode).toBe(1);
    expect(failed[0]?.detail).toBe('answered with 403 InvalidProviderToken');
    expect(failed[0]?.advice).toContain('check --key-id and --team-id');
  });

  test('is for the other environment', async () => {
    const sandboxed = await issue('sandboxed-too', ['development']);
    const { failed } = await check(
      ...[...sandboxed, ...use('sandbox'), '--port', String(simulator.http2Port), '--prove'],
    );
    expect(failed[0]?.detail).toBe('answered with 403 BadCertificateEnvironment');
  });

  test('closes the connection', async () => {
    await simulator.control.faults({ rules: [{ on: 'http2', action: { kind: 'close' } }] });
    const { exitCode, failed } = await check(...client(), ...http2());
    expect(exitCode).toBe(1);
    expect(failed[0]).toMatchObject({ step: 'gateway: HTTP/2', detail: 'the gateway closed the connection' });
  });
});

describe('what is in the way is explained', () => {
  let plain: Server;
  beforeAll(async () => {
    plain = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => plain.once('listening', resolve));
  });
  afterAll(() => plain.close());

  test('an authority that is not trusted', async () => {
    const { failed } = await check(
      ...[...client(), '--topic', 'com.example.shop', '--environment', 'production'],
      ...['--host', 'localhost', '--port', String(simulator.http2Port)],
    );
    expect(failed[0]?.step).toBe('gateway: its certificate');
    expect(failed[0]?.advice).toContain('name its PEM file as ca');
  });

  test('a certificate for another host', async () => {
    const args = [...client(), ...use(), '--port', String(simulator.http2Port)];
    args[args.indexOf('localhost')] = 'localhost.localdomain';
    const { exitCode, failed } = await check(...args);
    // Where the name does not resolve, that is what is said.
    expect(exitCode).toBe(1);
    expect(failed[0]?.advice).toMatch(/for another host|no such host|DNS/);
  });

  test('a port where nothing listens', async () => {
    const port = await findFreePort();
    const { failed } = await check(...client(), ...use(), '--port', String(port));
    expect(failed[0]?.advice).toContain('nothing listens there');
  });

  test('a port that does not speak TLS', async () => {
    const { port } = plain.address() as AddressInfo;
    const { failed } = await check(...client(), ...use(), '--port', String(port));
    expect(failed[0]?.detail).toBe('ERR_SSL_WRONG_VERSION_NUMBER: wrong version number');
    expect(failed[0]?.advice).toContain('does not speak TLS');
  });

  test('a gateway of the other transport', async () => {
    const { failed } = await check(...client(), ...use(), '--port', String(simulator.binaryPort));
    expect(failed[0]).toMatchObject({ step: 'gateway: HTTP/2', detail: 'not offered' });
  });

  test('a credential that does not fit, with all else that was seen', async () => {
    const args = [...client(), ...http2()];
    args[args.indexOf('com.example.shop')] = 'com.example.other';
    const { exitCode, failed, steps } = await check(...args);
    expect(exitCode).toBe(1);
    expect(failed).toMatchObject([{ step: 'credential', detail: expect.stringContaining('does not cover') }]);
    expect(steps.length).toBeGreaterThan(3);
  });
});

describe('an app of the configuration file', () => {
  const yaml = (): string => `
apps:
  shop-prod:
    topic: com.example.shop
    environment: production
    transport: binary
    gateway: { host: localhost, port: ${simulator.binaryPort}, ca: ${inTlsDir('ca.pem')} }
    feedback: { port: ${simulator.feedbackPort} }
    credential: { cert: ${inTlsDir('client.pem')}, key: ${inTlsDir('client-key.pem')} }
`;

  test('is checked as it would be used', async () => {
    const config = files.path('pushfleet.yaml');
    await writeFile(config, yaml());
    const { stdout, exitCode } = await runCli([
      ...['credentials', 'check', '--app', 'shop-prod', '--config', config, '--prove', '--hold', '100'],
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('✓ credential: fits com.example.shop in production\n');
    expect(stdout).toContain('✓ gateway: a known-bad frame: answered with status 2');
    expect(stdout).toContain('✓ feedback service: reachable\n  → our certificate was not shown');
    expect(stdout.endsWith('in order\n')).toBe(true);
  });

  test('must be there', async () => {
    const config = files.path('other.yaml');
    await writeFile(config, yaml());
    const { json } = await check('--app', 'shop-sandbox', '--config', config);
    expect(json.error).toMatchObject({
      code: 'app-unknown',
      message: `There is no app shop-sandbox in ${config}: there is shop-prod`,
    });
  });

  test('with all problems of the file at once', async () => {
    const config = files.path('broken.yaml');
    await writeFile(config, yaml().replace('binary', 'pigeon').replace('production', 'test'));
    const { exitCode, json } = await check('--app', 'shop-prod', '--config', config);
    expect(exitCode).toBe(1);
    expect(json.error).toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('transport'),
    });
  });
});

test.each([
  ['neither a file nor an app', () => [], 'name either a file or'],
  ['a file without its use', () => client(), 'needs --topic and --environment'],
  [
    'a topic that is empty',
    () => [...client(), '--topic', '', '--environment', 'production'],
    'needs --topic and --environment',
  ],
  ['a host without a port', () => [...client(), ...use()], '--host and --port go together'],
  ['a provider key for binary', () => [...key(), ...http2(), '--transport', 'binary'], 'is for http2 only'],
  ['a port that is none', () => [...client(), ...use(), '--port', '0'], 'from 1 to 65535'],
])('%s is a wrong call, with 2', async (_, args, message) => {
  const { exitCode, json } = await check(...args());
  expect(exitCode).toBe(2);
  expect((json.error as { message: string }).message).toContain(message);
});
