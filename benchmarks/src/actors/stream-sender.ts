import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createBinaryTransport, type NotificationRun, type OutcomeSink } from '@pushfleet/apns-client';
import { encodeKnownBadFrame, FrameEncoder } from '@pushfleet/apns-wire';
import { createColumns, stampTokens } from '../columns.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Sends `count` notifications to a binary gateway and stops the clock when the gateway has answered the known-bad
// frame behind the last one: by then it has read them all.

interface Parameters {
  readonly mode: 'bare' | 'transport' | 'apn';
  readonly port: number;
  readonly tlsDir: string;
  readonly count: number;
  readonly connections: number;
  readonly peers?: string;
}

const runLength = 1_000;
const parameters = readParameters<Parameters>();
const { mode, port, tlsDir, count } = parameters;
const tls = {
  ca: readFileSync(join(tlsDir, 'ca.pem'), 'utf8'),
  cert: readFileSync(join(tlsDir, 'client.pem'), 'utf8'),
  key: readFileSync(join(tlsDir, 'client-key.pem'), 'utf8'),
};

/** Frames made beforehand, written as they are: no encoding, no identifiers to keep, no accounting. */
async function sendBare(): Promise<number> {
  const encoder = new FrameEncoder(2);
  const columns = createColumns(runLength);
  const chunk = Buffer.alloc(runLength * 256);
  const length = encoder.encode(chunk, 0, columns, 0, runLength, 1);
  const frames = chunk.subarray(0, length);
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...tls });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  const startedMs = performance.now();
  for (let sent = 0; sent < count; sent += runLength) {
    if (!socket.write(frames)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  const answered = new Promise((resolve) => socket.once('data', resolve));
  socket.write(encodeKnownBadFrame(2, 1));
  await answered;
  socket.destroy();
  return performance.now() - startedMs;
}

/** The transport as a worker uses it: distinct tokens, every outcome accounted for. */
async function sendByTransport(): Promise<number> {
  const transport = createBinaryTransport({
    host: '127.0.0.1',
    port,
    serverName: 'localhost',
    ca: tls.ca,
    credential: { current: () => ({ cert: tls.cert, key: tls.key }), onChange: () => () => undefined },
    connections: parameters.connections,
    handshakeSilenceMs: 0,
    // Silence settles after a second: the window holds what is written in that time at line rate.
    window: 2_000_000,
  });
  let accepted = 0;
  const sink: OutcomeSink = {
    written: () => undefined,
    settled: (from, to, verdict) => {
      if (verdict.kind === 'accepted') accepted += to - from;
      else fail(JSON.stringify(verdict));
    },
  };
  const columns = createColumns(runLength);
  const runs: NotificationRun[] = Array.from({ length: count / runLength }, (_, run) => ({
    columns: stampTokens(columns, run),
    sink,
  }));
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    let next = 0;
    const submit = (): void => {
      while (next < runs.length && transport.room > 0) transport.submit(runs[next++]!);
      if (next === runs.length) resolve();
    };
    transport.onRoom(submit);
    submit();
  });
  await transport.drain(60_000);
  const elapsedMs = performance.now() - startedMs;
  if (accepted !== count) fail(`${accepted} of ${count} accepted`);
  return elapsedMs;
}

interface ApnModule {
  Connection: new (
    options: object,
  ) => {
    pushNotification(notification: object, device: object): void;
    on(event: string, listener: (...args: unknown[]) => void): void;
    shutdown(): void;
  };
  Notification: new (payload: object) => { expiry: number; alert: string };
  Device: new (token: string) => object;
}

/** apn 1.7.8 as its users wrote it; it has no accounting of what was accepted. */
async function sendByApn(): Promise<number> {
  const apn = createRequire(`${parameters.peers}/`)('apn') as ApnModule;
  const connection = new apn.Connection({
    address: '127.0.0.1',
    port,
    cert: tls.cert,
    key: tls.key,
    ca: [tls.ca],
    rejectUnauthorized: false,
    cacheLength: count,
    maxConnections: 1,
  });
  let transmitted = 0;
  const done = new Promise<void>((resolve, reject) => {
    connection.on('transmitted', () => {
      transmitted++;
      if (transmitted === count) resolve();
    });
    for (const event of ['error', 'socketError', 'transmissionError', 'cacheTooSmall']) {
      connection.on(event, (...args) => reject(new Error(`${event}: ${String(args[0])}`)));
    }
  });
  const { tokens } = createColumns(runLength);
  const hex = Array.from({ length: runLength }, (_, position) =>
    Buffer.from(tokens.subarray(position * 32, position * 32 + 32)).toString('hex'),
  );
  const startedMs = performance.now();
  for (let sent = 0; sent < count; sent++) {
    const notification = new apn.Notification({});
    notification.expiry = Math.floor(Date.now() / 1000) + 3600;
    notification.alert = 'Your order is on its way, and will be there today';
    connection.pushNotification(notification, new apn.Device(hex[sent % runLength]!));
  }
  await done;
  const elapsedMs = performance.now() - startedMs;
  connection.shutdown();
  return elapsedMs;
}

function fail(what: string): never {
  process.stderr.write(`${what}\n`);
  process.exit(1);
}

const send = { bare: sendBare, transport: sendByTransport, apn: sendByApn }[mode];
const elapsedMs = await send();
printResult({ rate: count / (elapsedMs / 1000), cpuSeconds: process.cpuUsage().user / 1e6 });
process.exit(0);
