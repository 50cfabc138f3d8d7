import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Destination } from './destination.ts';

export interface WebhookPost {
  readonly destination: Destination;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For all of it, milliseconds. */
  readonly timeoutMs: number;
  /** Gives it up earlier. */
  readonly signal: AbortSignal;
}

/**
 * Sends a body to the address that was checked, and gives the status of the answer. Redirections are not followed: they
 * could lead anywhere. The body of the answer is not read. Rejects when there is no answer in time.
 */
export function postWebhook({ destination, headers, body, timeoutMs, signal }: WebhookPost): Promise<number> {
  const { url, address, family } = destination;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(
    url,
    {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      // A connection each: they are few, and none must be kept to an address that was checked long ago.
      agent: false,
      lookup: (_hostname, { all }, callback) => {
        if (all === true) callback(null, [{ address, family }]);
        else callback(null, address, family);
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    },
    (response) => {
      resolve(response.statusCode ?? 0);
      response.on('error', () => undefined);
      request.destroy();
    },
  );
  request.on('error', reject);
  request.end(body);
  return promise;
}
