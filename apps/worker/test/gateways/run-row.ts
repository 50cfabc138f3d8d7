import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateCredential, watchCredential } from '@pushfleet/apns-credentials';
import { readPauses } from '@pushfleet/push-queue';
import { createLogger, type FleetApp } from '@pushfleet/service-kit';
import { generateTokens, type Simulator } from '@pushfleet/testkit';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';
import { Registry } from 'prom-client';
import { openWorker, type Worker, type WorkerOptions } from '../../src/worker.ts';
import { type Rig, withRedis } from '../worker-test.ts';
import { type BinaryScript, openBinaryGateway } from './binary-gateway.ts';
import type { Gateway } from './gateway.ts';
import { type Http2Script, openHttp2Gateway } from './http2-gateway.ts';
import { Ledger } from './ledger.ts';
import { VirtualTime } from './virtual-time.ts';

/** What a row's gateway can look at. */
export interface Scene {
  readonly time: VirtualTime;
  readonly ledger: Ledger;
  /** Device tokens of the row, in their order. */
  readonly tokens: readonly string[];
}

/** What must hold of a row, besides that nothing is lost and nothing is dead. */
export interface Bars {
  /** Exactly; 0 by default. */
  readonly rejected?: number;
  readonly expired?: number;
  /** Deliveries beyond the first, at most; 0 by default. Of each connection, and besides. */
  readonly doubledPerConnection?: number;
  readonly doubled?: number;
  /** Copies of one notification, at most. */
  readonly copies?: number;
  /** With `onUncertain: drop` what is uncertain is dead. */
  readonly mayDie?: true;
  /** What is not delivered waits, since nobody can send it. */
  readonly waits?: true;
  /** Accepted by silence, and not delivered, at most; 0 by default. */
  readonly lost?: number;
  /** Calls to the gateway, at most: while the spell lasts, or in all where there is none. */
  readonly calls?: number;
  /** From the end of the spell, or from the start, at most. Milliseconds. */
  readonly recoveryMs?: number;
  /** Frames written for each notification, at most. */
  readonly writtenEach?: number;
  /** Share of the clean rate after the spell, at least; 0.8 by default where a spell leaves half of the work to do. */
  readonly rate?: number;
  /** The app is paused for the whole fleet in the meantime. */
  readonly pauses?: readonly string[];
}

interface RowBase {
  readonly name: string;
  /** Notifications; 4,000 by default. */
  readonly size?: number;
  readonly app?: Partial<FleetApp>;
  /** Of each of several workers, where they differ. */
  readonly workers?: readonly ((app: FleetApp, files: Files) => Partial<FleetApp>)[];
  /** How long the notifications are good for, seconds; a day by default. */
  readonly ttlSeconds?: number;
  /** Done before the workers are opened. */
  readonly prepare?: (rig: Rig, files: Files) => Promise<void>;
  readonly worker?: Partial<WorkerOptions>;
  /** When the trouble is over, milliseconds; 0: it stays as it is. */
  readonly spellMs?: number;
  /** What is done to the gateway, and when. */
  readonly acts?: readonly {
    readonly atMs: number;
    readonly act: (gateway: Gateway, scene: Scene) => void;
  }[];
  readonly bars?: Bars;
  /** Virtual time after which a row ends as it is. An hour by default. */
  readonly limitMs?: number;
}

export type Row = RowBase &
  (
    | { readonly transport: 'binary'; readonly gateway: (scene: Scene) => BinaryScript }
    | { readonly transport: 'http2'; readonly gateway: (scene: Scene) => Http2Script }
  );

export interface RowResult {
  readonly name: string;
  readonly transport: 'binary' | 'http2';
  readonly size: number;
  readonly delivered: number;
  readonly doubled: number;
  readonly mostCopies: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly dead: number;
  /** No outcome when the row ended. */
  readonly queued: number;
  readonly calls: number;
  /** Frames and requests that came after the gateway had ended their connection. */
  readonly discarded: number;
  /** Requests that were taken, and whose connection ended before their answer. */
  readonly unanswered: number;
  readonly callsInSpell: number;
  readonly connections: number;
  /** From the end of the spell, or from the start, until everything had its outcome. */
  readonly recoveryMs: number;
  /** First deliveries after the spell, and how many of them a second. */
  readonly deliveredAfter: number;
  readonly rate: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Causes for which the app was paused for the whole fleet. */
  readonly pauses: readonly string[];
  readonly realMs: number;
}

/** Files of the certificates, which all rows share. */
export interface Files {
  readonly folder: string;
  readonly certificates: TestCertificates;
  readonly path: (name: string) => string;
}

export async function createFiles(): Promise<Files & { remove(): Promise<void> }> {
  const certificates = await createTestCertificates();
  const folder = await mkdtemp(join(tmpdir(), 'gateways-'));
  const path = (name: string) => join(folder, name);
  const { authority, universal, foreign, providerKey } = certificates;
  await Promise.all(
    Object.entries({
      'ca.pem': authority.certificatePem,
      'other-ca.pem': foreign.authorityPem,
      'client.pem': universal.certificatePem,
      'client-key.pem': universal.privateKeyPem,
      'foreign.pem': foreign.certificatePem,
      'foreign-key.pem': foreign.privateKeyPem,
      'AuthKey.p8': providerKey.p8,
    }).map(async ([name, text]) => writeFile(path(name), text)),
  );
  return { folder, certificates, path, remove: async () => rm(folder, { recursive: true }) };
}

/** Notifications that a connection may have in flight, where a row says nothing else: so a rate is limited. */
export const window = 1_000;
const checkEveryMs = 1_000;

/** Runs a row from the first push job to the last outcome. */
export async function runRow(
  row: Row,
  files: Files,
  redisUrl: string,
  redisPrefix: string,
): Promise<RowResult> {
  const startedMs = performance.now();
  const { server, authority } = files.certificates;
  const size = row.size ?? 4_000;
  const tokens = generateTokens({ count: size, seed: 12 });
  const time = new VirtualTime();
  const ledger = new Ledger(time, tokens);
  const scene: Scene = { time, ledger, tokens };
  const identity = {
    tls: { key: server.privateKeyPem, cert: server.certificatePem },
    ca: authority.certificatePem,
  };
  const gateway = await (row.transport === 'binary'
    ? openBinaryGateway(identity, ledger, time, row.gateway(scene))
    : openHttp2Gateway(identity, ledger, time, row.gateway(scene)));
  let result: RowResult | undefined;
  try {
    // The rig needs no more of a simulator than where it is.
    const place = { binaryPort: gateway.port, http2Port: gateway.port, tlsDir: files.folder } as Simulator;
    await withRedis(place, redisUrl, `${redisPrefix}-${randomUUID()}`, async (rig) => {
      result = await runOn(rig, row, size, scene, gateway, files);
    });
  } finally {
    await gateway.close();
    time.end();
  }
  return { ...result!, realMs: Math.round(performance.now() - startedMs) };
}

async function runOn(
  rig: Rig,
  row: Row,
  size: number,
  { time, ledger, tokens }: Scene,
  gateway: Gateway,
  files: Files,
): Promise<RowResult> {
  const spellMs = row.spellMs ?? 0;
  const app = rig.app({ transport: row.transport, confirmAfterMs: 1_000, window, ...row.app });
  const registers: Registry[] = [];
  const open = async (change: Partial<FleetApp>): Promise<Worker> => {
    const own = { ...app, ...change };
    const register = new Registry();
    registers.push(register);
    return openWorker({
      apps: [{ app: own, credential: await watchCredential(locateCredential(own.credential)) }],
      redisUrl: rig.redisUrl,
      redisPrefix: rig.prefix,
      register,
      logger: createLogger({
        service: 'worker',
        level: (process.env.TABLE_LOG as 'info' | undefined) ?? 'silent',
      }),
      ...row.worker,
    });
  };
  for (const { atMs, act } of row.acts ?? []) {
    if (atMs === 0) act(gateway, { time, ledger, tokens });
    else setTimeout(() => act(gateway, { time, ledger, tokens }), atMs);
  }
  await time.during(
    rig.queue.enqueueBatch({
      app: 'shop',
      lane: 'bulk',
      notifications: tokens.map((token) => ({ token })),
      defaults: { alert: 'Hello', expiresAt: new Date(Date.now() + (row.ttlSeconds ?? 86_400) * 1_000) },
    }),
  );
  await time.during(row.prepare?.(rig, files) ?? Promise.resolve());
  const workers: Worker[] = [];
  for (const change of row.workers ?? [() => ({})]) workers.push(await time.during(open(change(app, files))));
  const limitMs = row.limitMs ?? 3_600_000;
  const realLimit = Number(process.env.TABLE_REAL_LIMIT_MS ?? 60_000);
  const realNow = process.hrtime.bigint();
  let totals = await rig.totals();
  const left = () =>
    totals.enqueued - totals.accepted - totals.rejected - totals.expired - totals.dead - totals.cancelled;
  const pauses = new Set<string>();
  try {
    do {
      await time.until(time.nowMs + checkEveryMs);
      totals = await rig.totals();
      for (const { cause } of await readPauses(rig, 'shop')) pauses.add(cause);
    } while (
      (left() > 0 || time.nowMs < spellMs) &&
      time.nowMs < limitMs &&
      Number(process.hrtime.bigint() - realNow) / 1e6 < realLimit
    );
    const endMs = time.nowMs;
    const reasons: Record<string, number> = {};
    for (const { exceptions } of await time.during(rig.reports()))
      for (const { outcome, reason } of exceptions as readonly { outcome: string; reason?: string }[]) {
        const name = `${outcome}/${reason ?? ''}`;
        reasons[name] = (reasons[name] ?? 0) + 1;
      }
    const { accepted, rejected, expired, dead } = totals;
    return {
      name: row.name,
      transport: row.transport,
      size,
      delivered: ledger.delivered,
      doubled: ledger.doubled,
      mostCopies: ledger.mostCopies,
      accepted,
      rejected,
      expired,
      dead,
      queued: left(),
      calls: ledger.calls,
      discarded: ledger.discarded,
      unanswered: ledger.unanswered,
      callsInSpell: ledger.callsBetween(0, spellMs),
      connections: ledger.connections,
      recoveryMs: Math.round(endMs - spellMs),
      deliveredAfter: ledger.deliveredAfter(spellMs),
      rate: Math.round(ledger.rateAfter(spellMs)),
      reasons,
      pauses: [...pauses],
      realMs: 0,
    };
  } finally {
    await time.during(Promise.all(workers.map(async (worker) => worker.stop(2_000))));
  }
}
