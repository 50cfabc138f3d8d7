import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { encodeErrorResponse } from '@pushfleet/apns-wire';
import {
  createTestCertificates,
  TestAuthority,
  type TestCertificates,
} from '@pushfleet/testkit/certificates';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { TlsCredential } from '../src/index.ts';
import { stopGateway, test } from './gateway-test.ts';
import { TestCredential } from './test-credential.ts';

// Trouble with a credential, ours or the gateway's: the app pauses, says why, loses nothing, and resumes by itself.

let certificates: TestCertificates;

beforeAll(async () => {
  certificates = await createTestCertificates();
});
afterAll(stopGateway);

interface TlsGateway {
  readonly port: number;
  readonly connections: number;
  close(): Promise<void>;
}

/** A gateway that only shakes hands, unless `onConnection` does more. */
async function openTlsGateway(options: {
  readonly server?: { readonly certificatePem: string; readonly privateKeyPem: string };
  readonly onConnection?: (socket: TLSSocket) => void;
}): Promise<TlsGateway> {
  const { certificatePem: cert, privateKeyPem: key } = options.server ?? certificates.server;
  const sockets = new Set<TLSSocket>();
  let connections = 0;
  const server: Server = createServer(
    {
      cert,
      key,
      ca: certificates.authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
      options.onConnection?.(socket);
    },
  );
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const tlsOf = (identity: { certificatePem: string; privateKeyPem: string }): TlsCredential => ({
  cert: identity.certificatePem,
  key: identity.privateKeyPem,
});

describe('a certificate that the gateway does not take', () => {
  // Alerts that are about a certificate (RFC 8446 section 6.2), as they come while nothing is encrypted yet.
  const alerts = [
    [42, 'bad certificate'],
    [43, 'unsupported certificate'],
    [44, 'revoked'],
    [45, 'expired'],
    [46, 'unknown certificate'],
    [48, 'unknown authority'],
    [49, 'access denied'],
    [116, 'certificate required'],
  ] as const;
  test.for(alerts)('and says so with alert %d, %s, pauses the app at once', async ([alert], { gateway }) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.of(0x15, 3, 3, 0, 2, 2, alert)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { transport, observed, submit } = gateway.open({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
    });
    const run = await submit({ count: 10 }).settled();
    expect(run.sums).toEqual({ unprocessed: 10 });
    expect(observed.ends).toEqual(['credential-refused']);
    expect(transport.state).toMatchObject({ kind: 'paused', reason: expect.stringMatching(/alert/i) });
    expect(transport.room).toBe(0);
    transport.destroy();
    server.close();
  });

  test.for(['foreign', 'expired'] as const)(
    'and cuts the connection, pauses the app after three: %s',
    async (kind, { gateway }) => {
      const tls = await openTlsGateway({});
      const { transport, observed, submit } = gateway.open({
        port: tls.port,
        ca: certificates.authority.certificatePem,
        credential: new TestCredential(tlsOf(certificates[kind])),
        handshakeSilenceMs: 500,
      });
      const run = await submit({ count: 10 }).settled();
      expect(run.sums).toEqual({ unprocessed: 10 });
      expect(run.writes).toEqual(new Uint32Array(10));
      expect(observed.ends).toHaveLength(3);
      expect(transport.state.kind).toBe('paused');
      transport.destroy();
      await tls.close();
    },
  );

  test('for the wrong environment pauses it after three connections that were cut, and a renewed one ends the pause', async ({
    gateway,
  }) => {
    // Passes the handshake, and is cut right after it (`docs/protocol/binary.md#wrong-environment`).
    const credential = new TestCredential(gateway.identity);
    const issued = await fetch(`http://127.0.0.1:${gateway.controlPort}/certificates`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'nowhere', topic: 'com.example.nowhere', environments: [] }),
    });
    const { certificate, key } = (await issued.json()) as { certificate: string; key: string };
    credential.renew({ cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') });
    const { transport, observed, submit } = gateway.open({ credential, handshakeSilenceMs: 500 });
    const run = await submit({ count: 10 }).settled();
    expect(run.sums).toEqual({ unprocessed: 10 });
    expect(observed.ends).toEqual(['gateway-closed', 'gateway-closed', 'gateway-closed']);
    expect(transport.state).toMatchObject({
      kind: 'paused',
      reason: expect.stringContaining('right after the handshake'),
    });
    credential.renew(gateway.identity);
    await expect.poll(() => transport.state.kind).toBe('open');
    const next = submit({ count: 10 });
    await transport.drain(10_000);
    expect(next.sums).toEqual({ proved: 10 });
  });

  test('and is mended at the gateway ends the pause by itself', async ({ gateway }) => {
    let isMended = false;
    const tls = await openTlsGateway({
      onConnection: (socket) => {
        if (!isMended) socket.destroy();
      },
    });
    const { transport, submit } = gateway.open({
      port: tls.port,
      ca: certificates.authority.certificatePem,
      credential: new TestCredential(tlsOf(certificates.production)),
      handshakeSilenceMs: 500,
      pauseProbeMs: 30,
    });
    await submit({ count: 1 }).settled();
    expect(transport.state.kind).toBe('paused');
    isMended = true;
    await expect.poll(() => transport.state.kind).toBe('open');
    expect(transport.room).toBeGreaterThan(0);
    transport.destroy();
    await tls.close();
  });
});

describe('a gateway that we do not take', () => {
  test('is taken once the authorities are renewed, without a new transport', async ({ gateway }) => {
    const tls = await openTlsGateway({});
    const stranger = await TestAuthority.create();
    let authorities = stranger.certificatePem;
    const { transport, submit } = gateway.open({
      port: tls.port,
      ca: () => authorities,
      credential: new TestCredential(tlsOf(certificates.production)),
      pauseProbeMs: 30,
    });
    submit({ count: 1 });
    await expect.poll(() => transport.state.kind, { timeout: 10_000 }).toBe('paused');
    authorities = certificates.authority.certificatePem;
    await expect.poll(() => transport.state.kind, { timeout: 10_000 }).toBe('open');
    transport.destroy();
    await tls.close();
  });

  const cases = [
    {
      why: 'its certificate is for another name',
      serverName: 'gateway.push.apple.com',
      says: 'gateway.push.apple.com',
    },
    { why: 'its certificate is for another address', serverName: '10.0.0.1', says: '10.0.0.1' },
    { why: 'we do not know who signed its certificate', isForeign: true, says: 'CERT' },
  ];
  test.for(cases)('because $why, pauses the app', async ({ serverName, isForeign, says }, { gateway }) => {
    const tls = await openTlsGateway({});
    const { transport, submit } = gateway.open({
      port: tls.port,
      ca: isForeign === true ? gateway.ca : certificates.authority.certificatePem,
      ...(serverName === undefined ? {} : { serverName }),
    });
    const run = await submit({ count: 1 }).settled();
    expect(run.sums).toEqual({ unprocessed: 1 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: expect.stringContaining(says) });
    transport.destroy();
    await tls.close();
  });

  test('is verified by its address where it has no name', async ({ gateway }) => {
    const warnings: Error[] = [];
    const listener = (warning: Error) => warnings.push(warning);
    process.on('warning', listener);
    const { transport, submit } = gateway.open({ host: '127.0.0.1' });
    const run = submit({ count: 3 });
    await transport.drain(10_000);
    process.off('warning', listener);
    expect(run.sums).toEqual({ proved: 3 });
    expect(warnings).toEqual([]);
  });
});

test('a connection takes up the TLS session of the one before, and none of another credential', async ({
  gateway,
}) => {
  const reused: boolean[] = [];
  const tls = await openTlsGateway({
    onConnection: (socket) => {
      reused.push(socket.isSessionReused());
      // Long enough for the session to arrive, and for the connection to be trusted.
      if (reused.length < 4)
        socket.once('data', () => socket.end(encodeErrorResponse({ status: 0, identifier: 1 })));
    },
  });
  const credential = new TestCredential(tlsOf(certificates.production));
  const { transport, submit } = gateway.open({
    port: tls.port,
    ca: certificates.authority.certificatePem,
    credential,
    confirmAfterMs: 60_000,
  });
  await submit({ count: 1, seed: 1 }).settled();
  await submit({ count: 1, seed: 2 }).settled();
  expect(reused).toEqual([false, true]);
  credential.renew(tlsOf(certificates.universal));
  await submit({ count: 1, seed: 3 }).settled();
  expect(reused).toEqual([false, true, false]);
  transport.destroy();
  await tls.close();
});

describe('a credential that is renewed', () => {
  test('replaces connections without losing what is in flight', async ({ gateway }) => {
    const credential = new TestCredential(gateway.identity);
    const { transport, observed, submit } = gateway.open({ credential, confirmAfterMs: 60_000 });
    const first = submit({ count: 3_000, seed: 1 });
    await expect.poll(() => first.writes[2_999]).toBe(1);
    credential.renew(gateway.identity);
    const second = submit({ count: 3_000, seed: 2 });
    expect((await first.settled()).sums).toEqual({ proved: 3_000 });
    expect(observed.ends).toEqual(['rotated']);
    await transport.drain(10_000);
    expect(second.sums).toEqual({ proved: 3_000 });
    expect(await gateway.control.ledger()).toMatchObject({ received: 6_000, duplicates: 0 });
  });

  test('and cannot be used leaves connections as they are', async ({ gateway }) => {
    const credential = new TestCredential(gateway.identity);
    const { transport, observed, submit } = gateway.open({ credential, confirmAfterMs: 60_000 });
    const first = submit({ count: 10 });
    await expect.poll(() => first.writes[9]).toBe(1);
    credential.renew({ cert: 'no certificate', key: 'no key' });
    const second = submit({ count: 10, seed: 2 });
    await transport.drain(10_000);
    expect([first.sums, second.sums]).toEqual([{ proved: 10 }, { proved: 10 }]);
    expect(observed.ends).toEqual(['drained']);
  });
});

describe('a gateway that is not there', () => {
  test('is tried again, ever more slowly, and what waits is handed back for another worker to send', async ({
    gateway,
  }) => {
    const { port } = await closedPort();
    const { transport, observed, submit } = gateway.open({ port, backoff: { baseMs: 64, capMs: 128 } });
    const run = await submit({ count: 10 }).settled();
    expect(run.sums).toEqual({ unprocessed: 10 });
    expect(transport.room).toBe(0);
    expect(transport.state).toMatchObject({
      kind: 'paused',
      about: 'worker',
      reason: expect.stringContaining('ECONNREFUSED'),
    });
    expect(observed.states.map(({ kind }) => kind)).toContain('backing-off');
    await expect.poll(() => observed.ends.length).toBeGreaterThan(8);
    expect(new Set(observed.ends)).toEqual(new Set(['connect-failed']));
    await transport.drain(10_000);
  });

  test('and never finishes its handshake is given up', async ({ gateway }) => {
    const silent = createTcpServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { transport, observed, submit } = gateway.open({ port, host: '127.0.0.1', connectTimeoutMs: 50 });
    const run = submit({ count: 1 });
    await expect.poll(() => observed.ends).toContain('connect-failed');
    transport.destroy();
    expect(run.sums).toEqual({ unprocessed: 1 });
    silent.close();
  });
});

async function closedPort(): Promise<{ port: number }> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { port };
}
