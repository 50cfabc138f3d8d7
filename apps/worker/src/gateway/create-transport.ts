import {
  type ConnectionAllowance,
  createBinaryTransport,
  createHttp2Transport,
  type Http2Authentication,
  type Transport,
  type TransportObserver,
} from '@pushfleet/apns-client';
import {
  ProviderTokenSource,
  type ProviderTokenStore,
  type WatchedCredential,
} from '@pushfleet/apns-credentials';
import { createAuthoritiesReader, type FleetApp, type Logger, readProxy } from '@pushfleet/service-kit';

export type CreateTransport = (
  app: FleetApp,
  credential: WatchedCredential,
  observer: TransportObserver,
  /** What the transport shares its connections beyond the first with. */
  allowance: ConnectionAllowance,
) => Transport;

/** Builds the transports of apps. */
export interface TransportFactory {
  readonly create: CreateTransport;
}

export interface TransportsOptions {
  /** Where the fleet shares its provider tokens. */
  readonly tokenStore: ProviderTokenStore;
  readonly logger: Logger;
}

/** Builds the transports of a worker's apps, and keeps the provider tokens of those that need one. */
export class Transports implements TransportFactory {
  readonly #options: TransportsOptions;
  readonly #tokens = new Map<string, ProviderTokenSource>();

  constructor(options: TransportsOptions) {
    this.#options = options;
  }

  /** Opens nothing. Throws what is wrong with the credential or the authorities. */
  readonly create: CreateTransport = (app, credential, observer, allowance) => {
    const { host, port, ca } = app.gateway;
    const authorities = ca === undefined ? {} : { ca: createAuthoritiesReader(ca) };
    switch (app.transport) {
      case 'binary':
        return createBinaryTransport({
          host,
          port,
          ...authorities,
          credential: credential.tls,
          command: app.commandVersion,
          connections: app.connections,
          window: app.window,
          confirm: app.confirm,
          confirmAfterMs: app.confirmAfterMs,
          onUncertain: app.onUncertain === 'drop' ? 'report' : 'resend',
          shutdownIdentifier: app.shutdownIdentifier,
          attemptsPerMinute: app.connectsPerMinute,
          observer,
        });
      case 'http2':
        return createHttp2Transport({
          host,
          port,
          ...authorities,
          topic: app.topic,
          authentication: this.#authenticate(app, credential),
          ...(app.proxy === undefined ? {} : { proxy: readProxy(app.proxy) }),
          connections: app.connections,
          leastConnections: app.leastConnections,
          allowance,
          streams: app.streams,
          window: app.window,
          observer,
        });
      default:
        return app.transport satisfies never;
    }
  };

  /** How old the provider token of each app is that has one, milliseconds. */
  *tokenAgesMs(): Generator<[app: string, ageMs: number]> {
    for (const [app, { ageMs }] of this.#tokens) if (ageMs !== undefined) yield [app, ageMs];
  }

  close(): void {
    for (const tokens of this.#tokens.values()) tokens.close();
    this.#tokens.clear();
  }

  #authenticate(app: FleetApp, credential: WatchedCredential): Http2Authentication {
    if (!('p8' in app.credential)) return { kind: 'certificate', credential: credential.tls };
    const { tokenStore, logger } = this.#options;
    // The lanes of an app have transports of their own, and one provider token.
    const known = this.#tokens.get(app.id);
    if (known !== undefined) return { kind: 'token', tokens: known };
    const tokens = new ProviderTokenSource({
      credential,
      store: tokenStore,
      onProblem: (err) =>
        logger.warn({ app: app.id, err }, 'the provider token could not be shared or renewed'),
    });
    this.#tokens.set(app.id, tokens);
    return { kind: 'token', tokens };
  }
}
