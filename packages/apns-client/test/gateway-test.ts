import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { test as base, expect, vi } from 'vitest';
import { type BinaryTransportOptions, createBinaryTransport, type TlsCredential } from '../src/index.ts';
import { TestCredential } from './test-credential.ts';
import { type TestTransport, TestTransports } from './test-transports.ts';

export interface Gateway extends Simulator {
  readonly ca: string;
  readonly identity: TlsCredential;
  /** A transport to it, with waits that are short; destroyed when the test ends. */
  open(options?: Partial<BinaryTransportOptions>): TestTransport;
  setFaults(...rules: readonly object[]): Promise<void>;
}

interface Fixtures {
  gateway: Gateway;
}

let simulator: Promise<Simulator> | undefined;

/** To be called after all tests of a file. */
export async function stopGateway(): Promise<void> {
  await (await simulator)?.stop();
}

/** Frames of a test before may still wait in connections that a fault held up: they must not count in this one. */
async function emptyGateway({ control, controlPort }: Simulator): Promise<void> {
  await control.faults({ rules: [] });
  await vi.waitFor(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${controlPort}/connections`);
      const { binary } = (await answer.json()) as { binary: { open: number } };
      expect(binary.open, 'connections of the test before').toBe(0);
    },
    { timeout: 20_000 },
  );
  await control.reset();
}

/** A test with an empty simulator; positions that settle twice fail it, and connections that it leaves open. */
export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern.
  gateway: async ({}, use) => {
    simulator ??= startSimulator();
    const started = await simulator;
    const read = async (name: string) => readFile(join(started.tlsDir, name), 'utf8');
    const [ca, cert, key] = await Promise.all([read('ca.pem'), read('client.pem'), read('client-key.pem')]);
    await emptyGateway(started);
    const transports = new TestTransports();
    const open = (options: Partial<BinaryTransportOptions> = {}): TestTransport =>
      transports.open((observer) =>
        createBinaryTransport({
          host: 'localhost',
          port: started.binaryPort,
          ca,
          credential: new TestCredential({ cert, key }),
          connections: 1,
          handshakeSilenceMs: 20,
          backoff: { baseMs: 5, capMs: 50 },
          attemptsPerMinute: 100_000,
          observer,
          ...options,
        }),
      );
    await use({
      ...started,
      ca,
      identity: { cert, key },
      open,
      setFaults: async (...rules) => void (await started.control.faults({ rules })),
    });
    transports.end();
  },
});
