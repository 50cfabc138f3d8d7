import { readFileSync } from 'node:fs';
import { createBinaryTransport, type Transport, type TransportObserver } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import { type FleetApp, ServiceError } from '@pushfleet/service-kit';

export type CreateTransport = (
  app: FleetApp,
  credential: WatchedCredential,
  observer: TransportObserver,
) => Transport;

/** Builds the transport of an app; opens nothing. Throws what is wrong with the credential or the authorities. */
export const createTransport: CreateTransport = (app, credential, observer) => {
  const { host, port, ca } = app.gateway;
  const authorities = ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') };
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
        shutdownIdentifier: app.shutdownIdentifier,
        observer,
      });
    case 'http2':
      throw new ServiceError('transport-missing', `${app.id}: this worker has no HTTP/2 transport`);
    default:
      return app.transport satisfies never;
  }
};
