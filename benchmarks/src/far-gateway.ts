import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DelayLine, openNghttpd, startDelayLine } from '@pushfleet/testkit';
import { createProviderKey, TestAuthority, type TestProviderKey } from '@pushfleet/testkit/certificates';
import { hexTokens } from './columns.ts';

/** How many device tokens the far gateway knows. */
export const distinctTokens = 1_000;
export const topic = 'com.example.shop';

export interface FarGatewayOptions {
  /** Concurrent streams that it takes on a connection. */
  readonly streams: number;
  /** Its flow-control windows, of a stream and of a connection: 2 to this power, less one, bytes. */
  readonly windowBits: number;
}

/** nghttpd at the far end of a delay line. */
export interface FarGateway {
  readonly line: DelayLine;
  /** Of nghttpd. */
  readonly pid: number;
  /** Paths. */
  readonly caFile: string;
  readonly keyFile: string;
  readonly providerKey: TestProviderKey;
  readonly tokens: readonly string[];
  /** An app of pushfleet.yaml that sends to it, with the defaults of all else. */
  readonly app: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export async function openFarGateway({ streams, windowBits }: FarGatewayOptions): Promise<FarGateway> {
  const authority = await TestAuthority.create();
  const server = await authority.issueServerCertificate();
  const providerKey = createProviderKey();
  const tokens = hexTokens(distinctTokens);
  const stem = join(tmpdir(), `pushfleet-bench-${process.pid}-${streams}-${windowBits}`);
  const caFile = `${stem}-ca.pem`;
  const keyFile = `${stem}-key.p8`;
  await writeFile(caFile, authority.certificatePem);
  await writeFile(keyFile, providerKey.p8, { mode: 0o600 });
  const args = ['-m', String(streams), '-w', String(windowBits), '-W', String(windowBits)];
  const nghttpd = await openNghttpd({ server, tokens, args });
  const line = await startDelayLine({ targetPort: nghttpd.port });
  return {
    line,
    pid: nghttpd.pid,
    caFile,
    keyFile,
    providerKey,
    tokens,
    app: {
      topic,
      transport: 'http2',
      gateway: { host: 'localhost', port: line.port, ca: caFile },
      credential: { p8: keyFile, keyId: providerKey.keyId, teamId: providerKey.teamId },
    },
    async close() {
      await line.stop();
      await nghttpd.close();
      await Promise.all([rm(caFile), rm(keyFile)]);
    },
  };
}
