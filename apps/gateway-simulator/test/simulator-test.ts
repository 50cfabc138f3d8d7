import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BinaryNotification } from '@pushfleet/apns-wire';
import { SimulatorControl } from '@pushfleet/testkit';
import { test as base, expect, vi } from 'vitest';
import type { FaultsBody } from '../src/faults/fault-schema.ts';
import { parseOptions } from '../src/options.ts';
import { openSimulator, type Simulator } from '../src/simulator.ts';
import { type ClientOptions, GatewayClient } from './gateway-client.ts';
import { Http2Client, type Http2ClientOptions } from './http2-client.ts';

export interface TestSimulator extends Simulator {
  readonly control: SimulatorControl;
  readonly url: string;
  readonly ca: string;
  readonly identity: { readonly cert: string; readonly key: string };
  /** Connects to the binary gateway, handshake done. */
  connect(options?: Partial<ClientOptions>): Promise<GatewayClient>;
  /** The same without waiting for the handshake. */
  dial(options?: Partial<ClientOptions>): GatewayClient;
  /** Connects to the HTTP/2 gateway, with the certificate unless told otherwise. */
  connectHttp2(options?: Partial<Http2ClientOptions>): Promise<Http2Client>;
  /** The provider key of the directory of certificates. */
  readonly providerKey: TestProvider;
  setFaults(rules: FaultsBody['rules']): Promise<void>;
  /** Has a certificate signed for one more app. */
  issue(
    name: string,
    topic: string,
    environments?: readonly ('development' | 'production')[],
  ): Promise<{ readonly cert: string; readonly key: string }>;
  get(path: string): Promise<Record<string, unknown>>;
  post(path: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }>;
}

interface TestProvider {
  readonly p8: string;
  readonly keyId: string;
  readonly teamId: string;
}

interface Fixtures {
  /** Flags of the simulator. */
  flags: string[];
  lingerMs: number;
  simulator: TestSimulator;
}

/** Certificates take a while to make: one set for all tests of a file. */
let tlsDir: Promise<string> | undefined;

async function openTestSimulator(flags: readonly string[], lingerMs: number) {
  tlsDir ??= mkdtemp(join(tmpdir(), 'simulator-test-'));
  const options = parseOptions(['--tls-dir', await tlsDir, ...flags]);
  if (options === 'help') throw new TypeError('flags of a test must open a simulator');
  const simulator = await openSimulator(options, lingerMs);
  const read = async (name: string) => readFile(join(simulator.tlsDir, name), 'utf8');
  const [ca, cert, key] = await Promise.all([read('ca.pem'), read('client.pem'), read('client-key.pem')]);
  const p8 = await read('AuthKey.p8');
  const ids = JSON.parse(await read('provider-key.json')) as Omit<TestProvider, 'p8'>;
  return { simulator, ca, identity: { cert, key }, providerKey: { p8, ...ids } };
}

/** A test with a simulator of its own; a connection that it leaves open fails it. */
export const test = base.extend<Fixtures>({
  flags: [[], { injected: false }],
  lingerMs: [5_000, { injected: false }],
  simulator: async ({ flags, lingerMs }, use) => {
    const { simulator, ca, identity, providerKey } = await openTestSimulator(flags, lingerMs);
    const url = `http://127.0.0.1:${simulator.controlPort}`;
    const clients: GatewayClient[] = [];
    const dial = (options: Partial<ClientOptions> = {}): GatewayClient => {
      const client = new GatewayClient({ port: simulator.binaryPort, ca, identity, ...options });
      clients.push(client);
      return client;
    };
    const http2Clients: Http2Client[] = [];
    const connectHttp2: TestSimulator['connectHttp2'] = async (options = {}) => {
      const client = new Http2Client({ port: simulator.http2Port, ca, identity, ...options });
      http2Clients.push(client);
      return client.connected();
    };
    const get = async (path: string) => (await (await fetch(url + path)).json()) as Record<string, unknown>;
    const post = async (path: string, body: unknown) => {
      const answer = await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    const control = new SimulatorControl(url);
    const issue: TestSimulator['issue'] = async (name, topic, environments) => {
      const files = await control.issueCertificate(name, topic, environments);
      const [cert, key] = await Promise.all([
        readFile(files.certificate, 'utf8'),
        readFile(files.key, 'utf8'),
      ]);
      return { cert, key };
    };
    try {
      await use({
        ...simulator,
        control,
        url,
        ca,
        identity,
        connect: async (options) => dial(options).connected(),
        dial,
        connectHttp2,
        providerKey,
        setFaults: async (rules) => void (await control.faults({ rules } satisfies FaultsBody)),
        issue,
        get,
        post,
      });
      const leaked = clients.filter(({ socket }) => !socket.closed).length;
      const leakedHttp2 = http2Clients.filter(({ session }) => !session.destroyed).length;
      expect(leaked + leakedHttp2, 'connections that the test left open').toBe(0);
      await vi.waitFor(async () => {
        const open = Object.values(await get('/connections')).map((port) => (port as { open: number }).open);
        expect(open, 'connections that the simulator left open').toEqual([0, 0, 0]);
      });
    } finally {
      for (const { socket } of clients) socket.destroy();
      for (const { session } of http2Clients) session.destroy();
      await simulator.close();
    }
  },
});

export async function removeCertificates(): Promise<void> {
  if (tlsDir !== undefined) await rm(await tlsDir, { recursive: true, force: true });
}

export const payload = Buffer.from('{"aps":{"alert":"Hello"}}');

/** A token whose last four bytes are the number. */
export function tokenOf(number: number): Buffer {
  const token = Buffer.alloc(32, 0xa5);
  token.writeUInt32BE(number, 28);
  return token;
}

/** A sound notification of command 2; token and identifier are the number's. */
export function notification(number: number, other: Partial<BinaryNotification> = {}): BinaryNotification {
  return {
    command: 2,
    token: tokenOf(number),
    payload,
    identifier: number,
    expiration: 1_700_000_000,
    priority: 10,
    ...other,
  };
}

/** Sound notifications with the numbers from `first` to `last`. */
export function notifications(first: number, last: number): BinaryNotification[] {
  return Array.from({ length: last - first + 1 }, (_, index) => notification(first + index));
}
