import { type FaultProxy, findNghttpd, type Nghttpd, openFaultProxy, openNghttpd } from '@pushfleet/testkit';
import { TestAuthority, type TestIdentity } from '@pushfleet/testkit/certificates';
import { test as base } from 'vitest';
import { createHttp2Transport, type Http2TransportOptions, type ProviderTokens } from '../src/index.ts';
import { type FrameServer, type FrameServerScript, openFrameServer } from './frame-server.ts';
import { type NodeGateway, type NodeGatewayOptions, openNodeGateway } from './node-gateway.ts';
import { type TestTransport, TestTransports } from './test-transports.ts';

/** Tokens that a test renews. Every call that the transport makes is written down. */
export class TestTokens implements ProviderTokens {
  readonly calls: string[] = [];
  readonly #listeners = new Set<() => void>();
  #current: string | undefined;

  constructor(current?: string) {
    this.#current = current;
  }

  current(): string | undefined {
    return this.#current;
  }

  async refresh(): Promise<void> {
    this.calls.push('refresh');
  }

  async expired(jwt: string): Promise<boolean> {
    this.calls.push(`expired ${jwt}`);
    return false;
  }

  tooManyUpdates(jwt: string): void {
    this.calls.push(`too many ${jwt}`);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  renew(current: string | undefined): void {
    this.#current = current;
    for (const listener of this.#listeners) listener();
  }
}

interface Pki {
  readonly authority: TestAuthority;
  readonly server: TestIdentity;
  readonly client: TestIdentity;
}

export interface Http2Kit extends Pki {
  /** node:http2 as a gateway: the reference. */
  node(options?: NodeGatewayOptions): Promise<NodeGateway>;
  nghttpd(options: {
    readonly args: readonly string[];
    readonly tokens: readonly string[];
  }): Promise<Nghttpd>;
  /** A gateway whose every byte the test decides. */
  frames(script: FrameServerScript): Promise<FrameServer>;
  /** Breaks what goes to that port. */
  proxy(port: number): Promise<FaultProxy>;
  /** A transport with waits that are short, destroyed when the test ends. */
  open(port: number, options?: Partial<Http2TransportOptions>): TestTransport;
}

let pki: Promise<Pki> | undefined;

async function createPki(): Promise<Pki> {
  const authority = await TestAuthority.create();
  const [server, client] = await Promise.all([
    authority.issueServerCertificate(),
    authority.issueApnsCertificate({ topic: 'com.example.shop' }),
  ]);
  return { authority, server, client };
}

/** Positions that settle twice, or never, fail the test. */
export const test = base.extend<{ kit: Http2Kit }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the fixtures' names from the pattern.
  kit: async ({}, use) => {
    pki ??= createPki();
    const made = await pki;
    const ca = made.authority.certificatePem;
    const closers: (() => Promise<void>)[] = [];
    const transports = new TestTransports();
    const closing = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
      const opened = await opening;
      closers.unshift(async () => opened.close());
      return opened;
    };
    const open = (port: number, options: Partial<Http2TransportOptions> = {}): TestTransport =>
      transports.open((observer) =>
        createHttp2Transport({
          host: 'localhost',
          port,
          ca,
          topic: 'com.example.shop',
          authentication: { kind: 'token', tokens: new TestTokens('a.b.c') },
          connections: 1,
          backoff: { baseMs: 5, capMs: 50 },
          attemptsPerMinute: 100_000,
          observer,
          ...options,
        }),
      );
    await use({
      ...made,
      open,
      node: async (options) => closing(openNodeGateway(made.server, ca, options)),
      nghttpd: async (options) => closing(openNghttpd({ server: made.server, ...options })),
      proxy: async (port) => closing(openFaultProxy({ target: { port } })),
      frames: async (script) => closing(openFrameServer(made.server, script)),
    });
    try {
      transports.end();
    } finally {
      for (const close of closers) await close();
    }
  },
});

/** Why tests against nghttpd are skipped, or undefined. */
export const withoutNghttpd =
  (await findNghttpd()) === undefined ? 'nghttpd (Debian: nghttp2-server) is not on the PATH' : undefined;
if (withoutNghttpd !== undefined) process.stderr.write(`Skipped: ${withoutNghttpd}\n`);
