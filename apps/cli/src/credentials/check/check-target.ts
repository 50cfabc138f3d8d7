import { resolve } from 'node:path';
import { type CredentialLocation, locateCredential } from '@pushfleet/apns-credentials';
import { appSchema, type Endpoint, type FleetApp, resolveApp } from '@pushfleet/service-kit';
import { CliError } from '../../cli-error.ts';
import { findApp } from '../../fleet/find-app.ts';
import { type CredentialOptions, locateFile } from '../credential-options.ts';

/** What is to be checked. */
export interface CheckTarget {
  readonly transport: 'binary' | 'http2';
  readonly topic: string;
  readonly environment: 'production' | 'sandbox';
  readonly credential: CredentialLocation;
  readonly gateway: Endpoint;
  /** Absent: there is none. */
  readonly feedback: Endpoint | undefined;
}

/** An app that stands in no configuration file yet. */
export interface TargetOptions extends CredentialOptions {
  readonly transport?: 'binary' | 'http2';
  readonly topic?: string;
  readonly environment?: 'production' | 'sandbox';
  readonly host?: string;
  readonly port?: number;
  readonly feedbackPort?: number;
  readonly ca?: string;
}

/**
 * The app of that name in the configuration file.
 * @throws ConfigError; CliError `app-unknown`
 */
export async function targetOfApp(
  id: string,
  config: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<CheckTarget> {
  const app = await findApp(id, config, env);
  return toTarget(app, locateCredential(app.credential));
}

/** @throws CliError `usage`; CredentialError where the file cannot be read */
export async function targetOfFile(file: string, options: TargetOptions): Promise<CheckTarget> {
  const { transport, topic, environment, host, port, feedbackPort, ca } = options;
  if (topic === undefined || topic === '' || environment === undefined) {
    throw new CliError('usage', 'a file by itself needs --topic and --environment; or name an app by --app');
  }
  if ((host === undefined) !== (port === undefined)) {
    throw new CliError('usage', '--host and --port go together; without them it is the gateway of Apple');
  }
  const credential = await locateFile(file, options);
  const isToken = 'p8' in credential;
  if (isToken && transport === 'binary') {
    throw new CliError(
      'usage',
      'a provider key (.p8) is for http2 only: the binary protocol needs a certificate',
    );
  }
  const app = appSchema.parse({
    topic,
    environment,
    transport: transport ?? 'http2',
    ...(host === undefined ? {} : { gateway: { host, port, ca } }),
    ...(feedbackPort === undefined ? {} : { feedback: { port: feedbackPort } }),
    // Replaced below; the schema wants one.
    credential: { cert: file },
  });
  const target = toTarget(
    resolveApp('', app, (path) => resolve(path)),
    credential,
  );
  const trusted = ca === undefined ? undefined : resolve(ca);
  return { ...target, gateway: { ...target.gateway, ca: trusted } };
}

function toTarget(app: FleetApp, credential: CredentialLocation): CheckTarget {
  const { transport, topic, environment, gateway, feedback } = app;
  return { transport, topic, environment, credential, gateway, feedback };
}
