import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { describeError } from '@pushfleet/apns-client';
import {
  type Credential,
  type CredentialLocation,
  createRedisTokenStore,
  ProviderTokenSource,
  signProviderToken,
  watchCredential,
} from '@pushfleet/apns-credentials';
import { ConfigError, readEnvironment } from '@pushfleet/service-kit';
import { openRedis } from '../../fleet/open-redis.ts';
import type { CheckReport } from './check-report.ts';
import type { CheckTarget } from './check-target.ts';
import { explainReason } from './explain-reason.ts';
import { certificateRefused, codeOf, explainTlsError, isRefusalOfCertificate } from './explain-tls-error.ts';
import { openConnection } from './open-connection.ts';

/** For the settings, the PING and the answer, milliseconds each. */
const answerTimeoutMs = 10_000;

const ownToken =
  'a token was signed for this check, and Apple takes one in 20 minutes: a fleet that starts now may wait that long. ' +
  "With the fleet's REDIS_URL the check uses the token of the fleet";

/** Checks an HTTP/2 gateway. Sends nothing that could reach a device. */
export async function checkHttp2(
  report: CheckReport,
  target: CheckTarget,
  {
    credential,
    prove,
    env,
  }: { readonly credential: Credential; readonly prove: boolean; readonly env: NodeJS.ProcessEnv },
): Promise<void> {
  const { gateway } = target;
  const identity =
    credential.kind === 'certificate' ? { cert: credential.certPem, key: credential.keyPem } : undefined;
  const socket = await openConnection(report, { name: 'gateway', endpoint: gateway, identity, alpn: ['h2'] });
  if (socket === undefined) return;
  if (socket.alpnProtocol !== 'h2') {
    report.failed(
      'gateway: HTTP/2',
      'not offered',
      'what answers there is no HTTP/2 gateway: check host and port',
    );
    socket.destroy();
    return;
  }
  const session = connect(`https://${gateway.host}:${gateway.port}`, { createConnection: () => socket });
  try {
    if (!(await exchangePing(report, session, socket))) return;
    if (prove) {
      const token =
        credential.kind === 'token' ? await providerToken(credential, target.credential, env) : undefined;
      await sendBadPush(report, session, target, token);
    } else if (credential.kind === 'token') {
      report.ok(
        'gateway: our provider key',
        'not looked at',
        'the gateway does so with a request: see --prove',
      );
    }
  } finally {
    session.destroy();
    socket.destroy();
  }
}

async function exchangePing(
  report: CheckReport,
  session: ClientHttp2Session,
  socket: TLSSocket,
): Promise<boolean> {
  const step = 'gateway: HTTP/2';
  try {
    const limit = await answerOf<number | undefined>(session, (resolve, reject) => {
      session.once('remoteSettings', ({ maxConcurrentStreams }) =>
        session.ping((error) => (error === null ? resolve(maxConcurrentStreams) : reject(error))),
      );
    });
    report.ok(step, `a PING was answered; ${limit ?? 'any number of'} streams at once`);
    return true;
  } catch (error) {
    const alert = [error, socket.errored].find((cause) => isRefusalOfCertificate(codeOf(cause) ?? ''));
    if (alert === undefined) report.failed(step, describeError(error), explainTlsError(error));
    else report.failed('gateway: our certificate', describeError(alert), certificateRefused);
    return false;
  }
}

/** A push to what is no device token: refused, but only after everything else was found right. */
async function sendBadPush(
  report: CheckReport,
  session: ClientHttp2Session,
  { topic }: CheckTarget,
  token: CheckToken | undefined,
): Promise<void> {
  const step = 'gateway: test push to an impossible device';
  try {
    const authorization = token === undefined ? {} : { authorization: `bearer ${token.jwt}` };
    const { status, reason } = await requestPush(session, topic, authorization);
    if (reason === 'BadDeviceToken') {
      report.ok(
        step,
        `${status} ${reason}, as expected: credential and topic accepted`,
        token?.isOfFleet === false ? ownToken : undefined,
      );
    } else {
      report.failed(step, `answered with ${status} ${reason}`, explainReason(reason));
    }
  } catch (error) {
    report.failed(step, describeError(error), explainTlsError(error));
  }
}

async function requestPush(
  session: ClientHttp2Session,
  topic: string,
  authorization: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly reason: string }> {
  return answerOf(session, (resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/3/device/not-a-device-token',
      'apns-topic': topic,
      'apns-expiration': '0',
      ...authorization,
    });
    let status = 0;
    let body = '';
    stream.setEncoding('utf8');
    stream.once('response', (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('data', (text: string) => {
      if (body.length < 10_000) body += text;
    });
    stream.once('end', () => resolve({ status, reason: reasonIn(body) }));
    stream.once('error', reject);
    stream.end('{"aps":{}}');
  });
}

function reasonIn(body: string): string {
  try {
    const { reason } = JSON.parse(body) as { reason?: unknown };
    return typeof reason === 'string' ? reason : 'without a reason';
  } catch {
    return 'without a reason';
  }
}

/** Waits for an answer; fails when the session does, or when there is none in time. */
async function answerOf<T>(
  session: ClientHttp2Session,
  ask: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer within ${answerTimeoutMs / 1_000} seconds`));
    }, answerTimeoutMs);
    const settle =
      <V>(end: (value: V) => void) =>
      (value: V): void => {
        clearTimeout(timer);
        end(value);
      };
    session.once('error', settle(reject));
    session.once('close', () => settle(reject)(new Error('the gateway closed the connection')));
    ask(settle(resolve), settle(reject));
  });
}

interface CheckToken {
  readonly jwt: string;
  /** Whether it is the one that workers send with. */
  readonly isOfFleet: boolean;
}

/**
 * A provider token to check with. Apple takes one new token of a key in 20 minutes: where `REDIS_URL` names the fleet's
 * Redis it is the token of the fleet, which is made there if there is none, so that workers go on with it.
 * @throws ConfigError; CredentialError; CliError `redis-unavailable`
 */
async function providerToken(
  { key, keyId, teamId }: Extract<Credential, { kind: 'token' }>,
  location: CredentialLocation,
  env: NodeJS.ProcessEnv,
): Promise<CheckToken> {
  if ((env.REDIS_URL ?? env.REDIS_URL_FILE ?? '') === '') {
    const jwt = await signProviderToken({ key, keyId, teamId, issuedAtMs: Date.now() });
    return { jwt, isOfFleet: false };
  }
  const { config, problems } = await readEnvironment(env, { service: 'worker' });
  if (config === undefined) throw new ConfigError(problems);
  const redis = await openRedis(config.redisUrl);
  const credential = await watchCredential(location, { environment: env });
  const tokens = new ProviderTokenSource({
    credential,
    store: createRedisTokenStore(redis, config.redisPrefix),
  });
  try {
    await tokens.refresh();
    return { jwt: tokens.current()!, isOfFleet: true };
  } finally {
    tokens.close();
    credential.close();
    redis.disconnect();
  }
}
