import type { Http2Authentication } from '../http2/options.ts';
import type { ProxyOptions } from '../socket/dial.ts';

export interface ChannelEndpoint {
  readonly host: string;
  readonly port: number;
  /** Name that its certificate must carry; `host` by default. */
  readonly serverName?: string;
}

/** Apple's hosts: where channels are managed, and where notifications for them are sent. */
export const appleChannelEndpoints = {
  production: {
    manage: { host: 'api-manage-broadcast.push.apple.com', port: 2196 },
    send: { host: 'api.push.apple.com', port: 443 },
  },
  sandbox: {
    manage: { host: 'api-manage-broadcast.sandbox.push.apple.com', port: 2195 },
    send: { host: 'api.sandbox.push.apple.com', port: 443 },
  },
} as const;

export interface ChannelClientOptions {
  readonly manage: ChannelEndpoint;
  readonly send: ChannelEndpoint;
  readonly authentication: Http2Authentication;
  /** The app's bundle id. */
  readonly topic: string;
  /** PEM of the authorities that may have signed the hosts' certificates; by default those that Node.js trusts. */
  readonly ca?: string;
  readonly proxy?: ProxyOptions;
  /** For one call, connecting included. Milliseconds, 15,000 by default. */
  readonly timeoutMs?: number;
  /** A connection that is unused for this long is closed. Milliseconds, 300,000 by default. */
  readonly idleTimeoutMs?: number;
}
