import type {
  ConnectionAllowance,
  Transport,
  TransportObserver,
  TransportState,
} from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { TransportFactory } from './create-transport.ts';

export interface TransportBuilderOptions {
  readonly app: FleetApp;
  readonly credential: WatchedCredential;
  readonly transports: TransportFactory;
  readonly metrics: AppMetrics;
  /** What the lanes of the app share of connections. */
  readonly allowance: ConnectionAllowance;
  readonly logger: Logger;
}

/** Builds the transports of one app; its metrics and its log follow what happens in them. */
export class TransportBuilder {
  readonly #options: TransportBuilderOptions;
  /** It was logged that the gateway cannot be reached, and not yet that it can. */
  #isUnreachableLogged = false;

  constructor(options: TransportBuilderOptions) {
    this.#options = options;
  }

  /** Opens no connection. @throws what is wrong with the files of the app on this machine */
  build(connections: number, stateChanged: (state: TransportState) => void): Transport {
    const { app, credential, transports, metrics, allowance } = this.#options;
    credential.current();
    const observer: TransportObserver = {
      stateChanged: (state) => {
        this.#logReach(state);
        stateChanged(state);
      },
      connectionOpened: (_id, resumed) => metrics.countOpened(resumed),
      connectionClosed: (_id, end, lifetimeMs) => metrics.countClosed(end, lifetimeMs),
      errorResponse: (_id, status) => metrics.countErrorResponse(status),
      lateErrorResponse: (_id, _status, wronglyPresumed) => metrics.countLateErrorResponse(wronglyPresumed),
      unconfirmed: (_id, notifications) => metrics.countUnconfirmed(notifications),
      replayed: (notifications) => metrics.countReplayed(notifications),
      uncertain: (notifications, cause) => metrics.countUncertain(notifications, cause),
    };
    return transports.create({ ...app, connections }, credential, observer, allowance);
  }

  /** Logs once that the gateway cannot be reached, however often it is tried, and once that it can. */
  #logReach(state: TransportState): void {
    const { app, logger } = this.#options;
    const { host, port } = app.gateway;
    if (state.kind === 'backing-off' && !this.#isUnreachableLogged) {
      this.#isUnreachableLogged = true;
      logger.warn({ host, port, reason: state.cause }, 'the gateway cannot be reached; it is tried again');
    } else if (state.kind === 'open' && this.#isUnreachableLogged) {
      this.#isUnreachableLogged = false;
      logger.info({ host, port }, 'the gateway is reached again');
    }
  }
}
