import type { TLSSocket } from 'node:tls';
import { describeError } from '@pushfleet/apns-client';
import type { CheckReport } from './check-report.ts';
import type { CheckTarget } from './check-target.ts';
import { certificateRefused, codeOf, explainTlsError, isRefusalOfCertificate } from './explain-tls-error.ts';
import { openConnection } from './open-connection.ts';

export interface BinaryCheckOptions {
  /** Our certificate. */
  readonly identity: { readonly cert: string; readonly key: string };
  /** Sends a known-bad frame and waits for its answer. */
  readonly prove: boolean;
  /** How long the gateway has to cut a connection that it does not like, milliseconds. */
  readonly holdMs: number;
}

/**
 * A frame of command 1 with identifier 1, expiry 0, a token of no bytes and the payload `{}`
 * (`docs/protocol/binary.md#known-bad-frame`): no gateway can take it for a notification, and each must answer it
 * with status 2 and its identifier.
 */
const knownBadFrame = Buffer.from(
  '01000000010000000000000002'.concat(Buffer.from('{}').toString('hex')),
  'hex',
);
const packetLength = 6;
const answerTimeoutMs = 10_000;

/** Checks a binary gateway. Sends nothing that could reach a device. */
export async function checkBinary(
  report: CheckReport,
  { gateway }: CheckTarget,
  { identity, prove, holdMs }: BinaryCheckOptions,
): Promise<void> {
  const socket = await openConnection(report, { name: 'gateway', endpoint: gateway, identity });
  if (socket === undefined) return;
  try {
    if (!(await staysOpen(report, socket, holdMs)) || !prove) return;
    socket.write(knownBadFrame);
    judge(report, await readPacket(socket));
  } finally {
    socket.destroy();
  }
}

/** A certificate that is not taken shows only now: with TLS 1.3 as an alert, for the wrong environment as a close. */
async function staysOpen(report: CheckReport, socket: TLSSocket, holdMs: number): Promise<boolean> {
  const step = 'gateway: our certificate';
  const end = await endWithin(socket, holdMs);
  if (end === undefined) {
    report.ok(step, `taken: the connection was still open after ${holdMs} ms`);
    return true;
  }
  const code = codeOf(end.error) ?? '';
  if (isRefusalOfCertificate(code)) report.failed(step, describeError(end.error), certificateRefused);
  else {
    report.failed(
      step,
      'the connection was closed right after the handshake',
      'so gateways do with a certificate for the other environment, or of an authority that they do not trust',
    );
  }
  return false;
}

function judge(report: CheckReport, answer: Buffer | { readonly error: unknown } | undefined): void {
  const step = 'gateway: a known-bad frame';
  if (answer === undefined) {
    const advice = 'the gateway may be one that never answers, or something in between swallows what is sent';
    report.failed(step, `no answer within ${answerTimeoutMs / 1_000} seconds`, advice);
    return;
  }
  if (!Buffer.isBuffer(answer)) {
    const detail = answer.error === undefined ? 'closed without an answer' : describeError(answer.error);
    report.failed(step, detail, explainTlsError(answer.error) ?? 'a gateway of command 0 alone does so');
    return;
  }
  const [command, status] = answer;
  if (command !== 8) {
    const text = answer.subarray(0, packetLength).toString('hex');
    report.failed(step, `answered with ${text}, which is no error packet`, 'is this a binary gateway?');
  } else if (status === 2) {
    report.ok(step, 'answered with status 2, missing token: frames arrive, and answers come back');
  } else {
    const advice =
      status === 3 || status === 6
        ? 'a matter of the certificate: it is for no topic that this gateway knows'
        : 'the way is open, but the gateway judges otherwise than the protocol says';
    report.failed(step, `answered with status ${status}, where 2 is due`, advice);
  }
}

interface ConnectionEnd {
  readonly error: unknown;
}

/** Undefined when it is still open at the end of the time. */
async function endWithin(socket: TLSSocket, ms: number): Promise<ConnectionEnd | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    const finish = (error: unknown): void => {
      clearTimeout(timer);
      resolve({ error });
    };
    socket.once('error', finish);
    socket.once('end', () => finish(undefined));
    socket.once('close', () => finish(undefined));
    socket.resume();
  });
}

async function readPacket(socket: TLSSocket): Promise<Buffer | ConnectionEnd | undefined> {
  let received = Buffer.alloc(0);
  const packet = new Promise<Buffer>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= packetLength) resolve(received);
    });
  });
  return Promise.race([packet, endWithin(socket, answerTimeoutMs)]);
}
