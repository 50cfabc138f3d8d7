import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { createHttp2Transport, type NotificationRun, type OutcomeSink } from '@pushfleet/apns-client';
import { signProviderToken } from '@pushfleet/apns-credentials';
import { createBatchId, notificationId } from '@pushfleet/push-queue';
import { createColumns, hexTokens } from '../columns.ts';
import { openPeer, type PeerName } from '../http2-peers.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Sends `count` notifications to an HTTP/2 gateway and stops the clock when the last answer has come.

interface Parameters {
  readonly mode: 'bare' | 'transport' | PeerName;
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
    settled: (from, to, verdict) => {
      if (verdict.kind !== 'accepted') return fail(JSON.stringify(verdict));
      accepted += to - from;
      if (accepted === count) finish();
    },
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

/** Another sender as its users write it, `streams` calls at a time. */
async function sendByPeer(name: PeerName): Promise<number> {
  const peer = openPeer(name, { peers: parameters.peers!, port, providerKey, topic, ca });
  let sent = 0;
  const startedMs = performance.now();
  const sendNext = async (): Promise<void> => {
    while (sent < count) await peer.send(tokens[sent++ % tokens.length]!);
  };
  await Promise.all(Array.from({ length: streams }, sendNext));
  const elapsedMs = performance.now() - startedMs;
  await peer.close();
  return elapsedMs;
}

function fail(what: string): never {
  process.stderr.write(`${what}\n`);
  process.exit(1);
}

const senders = {
  bare: sendBare,
  transport: sendByTransport,
  'node-apn': async () => sendByPeer('node-apn'),
  apns2: async () => sendByPeer('apns2'),
} as const;
const elapsedMs = await senders[mode]();
printResult({ rate: (count / elapsedMs) * 1_000 });
process.exit(0);
