import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import {
  CredentialError,
  type CredentialLocation,
  checkCredential,
  daysLeft,
  expiryThreshold,
  filesOf,
  loadCredential,
  locateCredential,
} from '@pushfleet/apns-credentials';
import type { Endpoint, FleetApp } from '@pushfleet/service-kit';
import { checkTrust } from './check-trust.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** How long a gateway may take to accept a connection, milliseconds. */
const connectTimeoutMs = 5_000;

/** Every app on its own, and what two of them do to each other. */
export async function checkApps(
  apps: readonly FleetApp[],
  env: NodeJS.ProcessEnv,
  nowMs: number,
): Promise<Finding[]> {
  const single = await Promise.all(
    apps.map(async (app) => [
      ...(await checkAppCredential(app, env, nowMs)),
      ...(await checkGateway(app, nowMs)),
    ]),
  );
  return [...single.flat(), ...checkSharedFeedback(apps)];
}

async function checkAppCredential(app: FleetApp, env: NodeJS.ProcessEnv, nowMs: number): Promise<Finding[]> {
  const { ok, warning, problem } = findingsAbout(`apps.${app.id}`);
  const location = locateCredential(app.credential);
  try {
    const credential = await loadCredential(location, { environment: env });
    const reasons = checkCredential(credential, { ...app, nowMs });
    const findings = reasons.map(({ message }) =>
      problem(
        message,
        'The gateway refuses the app. Put a fitting credential in its place; workers take it up.',
      ),
    );
    const readable = await readableByAll(secretFilesOf(location));
    if (readable.length > 0) {
      findings.push(
        warning(
          `every account of this machine may read ${readable.join(', ')}`,
          'Take that right away: chmod o-r.',
        ),
      );
    }
    if (reasons.length > 0) return findings;
    if (credential.kind === 'token')
      return [...findings, ok(`the provider key ${credential.keyId} can be read`)];
    const { notAfter, commonName } = credential.certificate;
    const days = Math.floor(daysLeft(notAfter, nowMs));
    return [
      ...findings,
      expiryThreshold(notAfter, nowMs) === undefined
        ? ok(`the certificate "${commonName}" is good for another ${days} days`)
        : warning(`the certificate "${commonName}" expires in ${days} days`, 'Renew it now.'),
    ];
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    return [problem(error.message, 'Try it with: pushfleet credentials inspect FILE')];
  }
}

/** A certificate is public, unless its key is in the same file. */
function secretFilesOf(location: CredentialLocation): string[] {
  const isPublic = (file: string) =>
    'cert' in location && file === location.cert && (location.key ?? file) !== file;
  return filesOf(location).filter((file) => !isPublic(file));
}

/** Files whose mode lets everybody read them, where there are modes. */
async function readableByAll(files: readonly string[]): Promise<string[]> {
  if (process.platform === 'win32') return [];
  const modes = await Promise.all(files.map(async (file) => ({ file, mode: (await stat(file)).mode })));
  return modes.filter(({ mode }) => (mode & 0o004) !== 0).map(({ file }) => file);
}

async function checkGateway(app: FleetApp, nowMs: number): Promise<Finding[]> {
  const { ok, problem } = findingsAbout(`apps.${app.id}`);
  const where = `${app.gateway.host}:${app.gateway.port}`;
  const reason = await whyUnreachable(app.gateway);
  if (reason === undefined) {
    return [ok(`the gateway ${where} accepts connections`), ...(await checkTrust(app, nowMs))];
  }
  return [
    problem(
      `the gateway ${where} cannot be reached from here: ${reason}`,
      'Look at the name, the port, and firewalls for outgoing connections.',
    ),
  ];
}

async function whyUnreachable({ host, port }: Endpoint): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port });
  const timer = setTimeout(() => resolve(`no answer within ${connectTimeoutMs / 1_000} s`), connectTimeoutMs);
  socket.on('connect', () => resolve(undefined));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  const reason = await promise;
  clearTimeout(timer);
  socket.destroy();
  return reason;
}

/** Reading the feedback service clears its list: of two apps that read the same one, each gets a part of it. */
function checkSharedFeedback(apps: readonly FleetApp[]): Finding[] {
  const readers = Map.groupBy(
    apps.filter(({ feedback }) => feedback !== undefined),
    ({ feedback, credential }) => JSON.stringify([feedback!.host, feedback!.port, credential]),
  );
  return [...readers.values()]
    .filter((sharing) => sharing.length > 1)
    .map((sharing) =>
      findingsAbout(`apps.${sharing[0]!.id}`).problem(
        `${sharing.map(({ id }) => id).join(' and ')} read the same feedback service with the same credential`,
        'Each reading clears the list for the other: let only one app of a credential have feedback.',
      ),
    );
}
