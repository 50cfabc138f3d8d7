import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { test as base, expect, vi } from 'vitest';
import {
  type BinaryTransportOptions,
  type ConnectionEnd,
  type CredentialSource,
  createBinaryTransport,
  type TlsCredential,
  type Transport,
  type TransportObserver,
  type TransportState,
} from '../src/index.ts';
import { RecordedRun, type RunContent } from './recorded-run.ts';

/** A credential that a test renews, or takes away. */
export class TestCredential implements CredentialSource {
  #current: TlsCredential | Error;
  readonly #listeners = new Set<() => void>();

  constructor(current: TlsCredential | Error) {
    this.#current = current;
  }

  current(): TlsCredential {
    if (this.#current instanceof Error) throw this.#current;
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  renew(current: TlsCredential | Error): void {
    this.#current = current;
    for (const listener of this.#listeners) listener();
  }
}

/** What an observer saw. */
export class Observed {
  readonly states: TransportState[] = [];
  readonly ends: ConnectionEnd[] = [];
  readonly statuses: number[] = [];
  opened = 0;
  replayed = 0;
  uncertain = 0;
  wronglyPresumed = 0;
  onClosed: () => void = () => {};

  readonly observer: TransportObserver = {
    stateChanged: (state) => void this.states.push(state),
    connectionOpened: () => {
      this.opened += 1;
    },
    connectionClosed: (_, end) => {
      this.ends.push(end);
      this.onClosed();
    },
    errorResponse: (_, status) => void this.statuses.push(status),
    lateErrorResponse: (_, __, wronglyPresumed) => {
      this.wronglyPresumed += wronglyPresumed;
    },
    replayed: (notifications) => {
      this.replayed += notifications;
    },
    uncertain: (notifications) => {
      this.uncertain += notifications;
    },
  };
}

export interface TestTransport {
  readonly transport: Transport;
  readonly observed: Observed;
  submit(content: RunContent): RecordedRun;
}

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
    const transports: Transport[] = [];
    const runs: RecordedRun[] = [];
    const open = (options: Partial<BinaryTransportOptions> = {}): TestTransport => {
      const observed = new Observed();
      const transport = createBinaryTransport({
        host: 'localhost',
        port: started.binaryPort,
        ca,
        credential: new TestCredential({ cert, key }),
        connections: 1,
        handshakeSilenceMs: 20,
        backoff: { baseMs: 5, capMs: 50 },
        attemptsPerMinute: 100_000,
        observer: observed.observer,
        ...options,
      });
      transports.push(transport);
      const submit = (content: RunContent): RecordedRun => {
        const run = new RecordedRun(content);
        runs.push(run);
        transport.submit(run);
        return run;
      };
      return { transport, observed, submit };
    };
    await use({
      ...started,
      ca,
      identity: { cert, key },
      open,
      setFaults: async (...rules) => void (await started.control.faults({ rules })),
    });
    for (const transport of transports) transport.destroy();
    expect(runs.flatMap(({ twice }) => twice)).toEqual([]);
    expect(runs.map((run) => run.open).filter((left) => left > 0)).toEqual([]);
  },
});
