import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { createRequire } from 'node:module';
import { createHttp2Transport, type NotificationRun, type OutcomeSink } from '@pushfleet/apns-client';
import { signProviderToken } from '@pushfleet/apns-credentials';
import { createBatchId, notificationId } from '@pushfleet/push-queue';
import { createColumns, hexTokens } from '../columns.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Sends `count` notifications to an HTTP/2 gateway and stops the clock when the last answer has come.

interface Parameters {
  readonly mode: 'bare' | 'transport' | 'node-apn' | 'apns2';
  readonly port: number;
  readonly caFile: string;
  readonly count: number;
  readonly streams: number;
  readonly distinctTokens: number;
  readonly providerKey: { readonly p8: string; readonly keyId: string; readonly teamId: string };
  readonly peers?: string;
}

const topic = 'com.example.shop';
const parameters = readParameters<Parameters>();
const { mode, port, count, streams, distinctTokens, providerKey } = parameters;
const ca = readFileSync(parameters.caFile, 'utf8');
const columns = createColumns(distinctTokens);
const payload = Buffer.from(columns.payloads);
const tokens = hexTokens(distinctTokens);

async function signToken(): Promise<string> {
  return signProviderToken({ ...providerKey, key: createPrivateKey(providerKey.p8), issuedAtMs: Date.now() });
}

/** The transport as a worker uses it: runs of push jobs, ids of their own, every outcome accounted for. */
async function sendByTransport(): Promise<number> {
  const jwt = await signToken();
  const transport = createHttp2Transport({
    host: 'localhost',
    port,
    ca,
    topic,
    authentication: {
      kind: 'token',
      tokens: {
        current: () => jwt,
        refresh: async () => undefined,
        expired: async () => false,
        tooManyUpdates: () => undefined,
        onChange: () => () => undefined,
      },
    },
    connections: 1,
  });
  let accepted = 0;
  const sink: OutcomeSink = {
    written: () => undefined,
    accepted: (from, to) => {
      accepted += to - from;
      if (accepted === count) finish();
    },
    rejected: (_position, { reason }) => fail(`rejected: ${reason}`),
    retryable: (_position, { reason }) => fail(`retryable: ${reason}`),
    uncertain: (_from, _to, cause) => fail(`uncertain: ${cause}`),
    expired: () => fail('expired'),
    unprocessed: () => fail('unprocessed'),
  };
  const runs = Array.from({ length: count / columns.count }, (): NotificationRun => {
    const batch = createBatchId();
    return {
      columns,
      sink,
      http2: {
        pushType: 'alert',
        collapseId: null,
        apnsId: (position) => notificationId(batch, position + 1),
      },
    };
  });
  let finish = (): void => undefined;
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    finish = resolve;
    let next = 0;
    const submit = (): void => {
      while (next < runs.length && transport.room > 0) transport.submit(runs[next++]!);
    };
    transport.onRoom(submit);
    submit();
  });
  const elapsedMs = performance.now() - startedMs;
  await transport.drain(10_000);
  return elapsedMs;
}

/** node:http2 and as little else as possible: as many streams as the gateway takes, answers counted. */
async function sendBare(): Promise<number> {
  const jwt = await signToken();
  const session = connect(`https://localhost:${port}`, { ca });
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const expiration = String(columns.expirations[0]);
  const batch = createBatchId();
  let sent = 0;
  let answered = 0;
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    const send = (): void => {
      const position = sent++;
      const request = session.request({
        ':method': 'POST',
        ':path': `/3/device/${tokens[position % tokens.length]!}`,
        authorization: `bearer ${jwt}`,
        'apns-topic': topic,
        'apns-push-type': 'alert',
        'apns-priority': '10',
        'apns-expiration': expiration,
        'apns-id': notificationId(batch, position + 1),
      });
      request.on('response', (headers) => {
        if (headers[':status'] !== 200) fail(`status ${String(headers[':status'])}`);
      });
      request.on('close', () => {
        if (++answered === count) resolve();
        else if (sent < count) send();
      });
      request.resume();
      request.end(payload);
    };
    for (let open = 0; open < streams; open++) send();
  });
  const elapsedMs = performance.now() - startedMs;
  session.close();
  return elapsedMs;
}

/** Calls `send` for every notification, `streams` at a time. */
async function sendInParallel(send: (token: string) => Promise<void>): Promise<number> {
  let sent = 0;
  const startedMs = performance.now();
  const sendNext = async (): Promise<void> => {
    while (sent < count) await send(tokens[sent++ % tokens.length]!);
  };
  await Promise.all(Array.from({ length: streams }, sendNext));
  return performance.now() - startedMs;
}

interface NodeApnModule {
  Provider: new (
    options: object,
  ) => {
    send(notification: object, token: string): Promise<{ sent: unknown[]; failed: unknown[] }>;
    shutdown(): void;
  };
  Notification: new () => Record<string, unknown>;
}

/** `@parse/node-apn` as its users write it. */
async function sendByNodeApn(): Promise<number> {
  const apn = createRequire(`${parameters.peers}/`)('@parse/node-apn') as NodeApnModule;
  const provider = new apn.Provider({
    token: { key: providerKey.p8, keyId: providerKey.keyId, teamId: providerKey.teamId },
    address: 'localhost',
    port,
    ca,
    requestTimeout: 60_000,
  });
  const elapsedMs = await sendInParallel(async (token) => {
    const notification = new apn.Notification();
    notification.alert = 'Your order is on its way, and will be there today';
    notification.topic = topic;
    notification.pushType = 'alert';
    const { failed } = await provider.send(notification, token);
    if (failed.length > 0) fail(JSON.stringify(failed));
  });
  provider.shutdown();
  return elapsedMs;
}

interface Apns2Module {
  ApnsClient: new (
    options: object,
  ) => { client: unknown; send(notification: object): Promise<unknown>; close(): Promise<void> };
  Notification: new (token: string, options: object) => object;
}

/** `apns2` as its users write it, but for the port: it knows only 443. */
async function sendByApns2(): Promise<number> {
  const load = createRequire(`${parameters.peers}/`);
  const { ApnsClient, Notification } = load('apns2') as Apns2Module;
  const { Pool } = load('undici') as { Pool: new (url: string, options: object) => unknown };
  const client = new ApnsClient({
    team: providerKey.teamId,
    keyId: providerKey.keyId,
    signingKey: providerKey.p8,
    defaultTopic: topic,
    host: 'localhost',
  });
  client.client = new Pool(`https://localhost:${port}`, {
    connections: 32,
    pipelining: 1,
    allowH2: true,
    maxConcurrentStreams: 100,
  });
  const elapsedMs = await sendInParallel(async (token) => {
    await client.send(
      new Notification(token, { alert: 'Your order is on its way, and will be there today' }),
    );
  });
  await client.close();
  return elapsedMs;
}

function fail(what: string): never {
  process.stderr.write(`${what}\n`);
  process.exit(1);
}

const senders = {
  bare: sendBare,
  transport: sendByTransport,
  'node-apn': sendByNodeApn,
  apns2: sendByApns2,
} as const;
const elapsedMs = await senders[mode]();
printResult({ rate: (count / elapsedMs) * 1_000 });
process.exit(0);
