import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WatchedCredential, watchCredential } from '@pushfleet/apns-credentials';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createBinaryTransport, createHttp2Transport, type Transport } from '../src/index.ts';
import { Observed } from './observed.ts';
import { RecordedRun } from './recorded-run.ts';

// A renewed certificate is a file that is replaced while notifications are in flight. The renewed one is for another
// topic here, which no real one is, so that the gateway's ledger tells which certificate a notification came with.

const before = 'com.example.before';
const after = 'com.example.after';

let simulator: Simulator;
let ca: string;
let folder: string;
beforeAll(async () => {
  [simulator, folder] = await Promise.all([startSimulator(), mkdtemp(join(tmpdir(), 'pushfleet-renewal-'))]);
  ca = await readFile(join(simulator.tlsDir, 'ca.pem'), 'utf8');
});
beforeEach(() => simulator.control.reset());
afterAll(() => Promise.all([simulator.stop(), rm(folder, { recursive: true, force: true })]));

/** Puts a certificate with its key in place of the file, as a deployment does. */
async function place(file: string, topic: string): Promise<void> {
  const { certificate, key } = await simulator.control.issueCertificate(
    `renewal-${topic.split('.').at(-1)}`,
    topic,
  );
  const joined = (await readFile(certificate, 'utf8')) + (await readFile(key, 'utf8'));
  await writeFile(`${file}.new`, joined, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

interface Case {
  /** Topic of the renewed certificate. */
  readonly renewedTopic: string;
  open(credential: WatchedCredential, observed: Observed): Transport;
}

const cases: Record<string, Case> = {
  binary: {
    renewedTopic: after,
    open: (credential, { observer }) =>
      createBinaryTransport({
        ...{ host: 'localhost', port: simulator.binaryPort, ca, observer },
        // Longer than the test: no outcome comes from silence.
        ...{ credential: credential.tls, connections: 2, handshakeSilenceMs: 20, confirmAfterMs: 60_000 },
      }),
  },
  http2: {
    // The topic is in the request, and must be the certificate's.
    renewedTopic: before,
    open: (credential, { observer }) =>
      createHttp2Transport({
        ...{ host: 'localhost', port: simulator.http2Port, ca, observer, connections: 2, topic: before },
        authentication: { kind: 'certificate', credential: credential.tls },
      }),
  },
};

test.each(Object.entries(cases))(
  'what is in flight is settled, proved, and the next connection shows the renewed certificate: %s',
  async (name, { renewedTopic, open }) => {
    const file = join(folder, `${name}.pem`);
    await place(file, before);
    const credential = await watchCredential({ cert: file }, { settleMs: 20, pollIntervalMs: 200 });
    const observed = new Observed();
    const transport = open(credential, observed);
    try {
      const renewed = new Promise((resolve) => credential.onChange(resolve));
      const first = new RecordedRun({ count: 5_000, seed: 1 });
      transport.submit(first);
      const received = async (): Promise<number> => (await simulator.control.ledger()).received;
      await vi.waitFor(async () => expect(await received()).toBeGreaterThan(0), { timeout: 20_000 });
      await place(file, renewedTopic);
      await renewed;
      const second = new RecordedRun({ count: 5_000, seed: 2 });
      transport.submit(second);
      if (name === 'http2') await second.settled();
      await transport.drain(20_000);
      expect([first.sums, second.sums]).toEqual([{ proved: 5_000 }, { proved: 5_000 }]);
      expect(observed.ends).toContain('rotated');
      expect(observed.uncertain).toBe(0);
      const ledger = await simulator.control.ledger();
      expect(ledger).toMatchObject({ received: 10_000, duplicates: 0 });
      expect(Object.keys(ledger.apps as object).toSorted()).toEqual(
        [...new Set([before, renewedTopic])].toSorted(),
      );
    } finally {
      transport.destroy();
      credential.close();
    }
  },
);
