import type { AppConfig, CredentialConfig } from './config.ts';

/** An app of the configuration file with nothing left to guess: paths are absolute, defaults are filled in. */
export interface FleetApp
  extends Omit<
    AppConfig,
    | 'gateway'
    | 'feedback'
    | 'confirmAfter'
    | 'retryFor'
    | 'breaker'
    | 'window'
    | 'connections'
    | 'deadLetters'
    | 'canary'
  > {
  /** Its name in the file, in Redis, in metrics and logs. */
  readonly id: string;
  readonly gateway: Endpoint;
  /** The feedback service; absent where there is none: on HTTP/2, and beside a gateway that is not Apple's. */
  readonly feedback: (Endpoint & { readonly intervalMs: number }) | undefined;
  /** Paths are absolute. */
  readonly credential: CredentialConfig;
  readonly confirmAfterMs: number;
  /** How long a notification is tried again for faults that are not its own. */
  readonly retryForMs: number;
  readonly window: number;
  /** To the gateway, of one worker, at most. */
  readonly connections: number;
  readonly breaker: { readonly rate: number; readonly minimum: number; readonly windowMs: number };
  /** A silent push to a token of one's own, hex, every so often. */
  readonly canary?: { readonly token: string; readonly everyMs: number };
  /** How long dead letters are kept, and how many bytes of them. */
  readonly deadLetters: { readonly ageMs: number; readonly bytes: number };
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Absolute path of a file with the authorities, PEM or DER; by default those of Node.js and of the system. */
  readonly ca: string | undefined;
}

/** `docs/protocol/binary.md` and `docs/protocol/http2.md`. */
const appleHosts = {
  binary: {
    production: { host: 'gateway.push.apple.com', port: 2195 },
    sandbox: { host: 'gateway.sandbox.push.apple.com', port: 2195 },
  },
  http2: {
    production: { host: 'api.push.apple.com', port: 443 },
    sandbox: { host: 'api.sandbox.push.apple.com', port: 443 },
  },
  feedback: {
    production: { host: 'feedback.push.apple.com', port: 2196 },
    sandbox: { host: 'feedback.sandbox.push.apple.com', port: 2196 },
  },
} as const;

/**
 * Notifications in flight per connection. Binary: a second at line rate, since only silence settles. HTTP/2: as many as
 * keep the streams busy while the next jobs are taken.
 */
export const defaultWindows = { binary: 1_000_000, http2: 20_000 } as const;

/** HTTP/2 opens as many as what waits needs; binary as many as there may be, whenever its own are full. */
export const defaultConnections = { binary: 2, http2: 32 } as const;

/** Fills in what the file leaves out. @param absolute Resolves a path of the file. */
export function resolveApp(id: string, config: AppConfig, absolute: (path: string) => string): FleetApp {
  const {
    gateway,
    feedback: _,
    confirmAfter,
    retryFor,
    breaker,
    deadLetters,
    canary,
    credential,
    proxy,
    ...plain
  } = config;
  const ca = gateway?.ca === undefined ? undefined : absolute(gateway.ca);
  return {
    ...plain,
    id,
    gateway: gateway === undefined ? { ...appleHost(config), ca } : { ...gateway, ca },
    feedback: resolveFeedback(config, ca),
    credential: resolveCredential(credential, absolute),
    ...(proxy === undefined ? {} : { proxy: resolveProxy(proxy, absolute) }),
    confirmAfterMs: confirmAfter,
    retryForMs: retryFor,
    connections: config.connections ?? defaultConnections[config.transport],
    window: config.window ?? defaultWindows[config.transport],
    breaker: { rate: breaker.rate, minimum: breaker.minimum, windowMs: breaker.window },
    ...(canary === undefined ? {} : { canary: { token: canary.token, everyMs: canary.every } }),
    deadLetters: { ageMs: deadLetters.keepFor, bytes: deadLetters.maxBytes },
  };
}

function resolveProxy(
  proxy: NonNullable<AppConfig['proxy']>,
  absolute: (path: string) => string,
): NonNullable<AppConfig['proxy']> {
  const { credentialFile } = proxy;
  return credentialFile === undefined ? proxy : { ...proxy, credentialFile: absolute(credentialFile) };
}

function appleHost({ transport, environment }: AppConfig) {
  return appleHosts[transport][environment];
}

/** A private gateway's certificate is not shown to Apple's feedback service: its own is at the same host, or none. */
function resolveFeedback(config: AppConfig, ca: string | undefined): FleetApp['feedback'] {
  if (config.transport === 'http2') return undefined;
  const { gateway, feedback, environment } = config;
  if (gateway !== undefined && feedback === undefined) return undefined;
  const apple = appleHosts.feedback[environment];
  return {
    host: feedback?.host ?? gateway?.host ?? apple.host,
    port: feedback?.port ?? apple.port,
    ca,
    intervalMs: feedback?.interval ?? 3_600_000,
  };
}

function resolveCredential(
  credential: CredentialConfig,
  absolute: (path: string) => string,
): CredentialConfig {
  if ('p8' in credential) return { ...credential, p8: absolute(credential.p8) };
  const { passphraseFile } = credential;
  const passphrase = passphraseFile === undefined ? {} : { passphraseFile: absolute(passphraseFile) };
  if ('p12' in credential) return { ...credential, ...passphrase, p12: absolute(credential.p12) };
  const key = credential.key === undefined ? {} : { key: absolute(credential.key) };
  return { ...credential, ...passphrase, ...key, cert: absolute(credential.cert) };
}
