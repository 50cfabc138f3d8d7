import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** The far end of webhooks: takes events, checks their signatures, and shows the last of them. */
export interface WebhookReceiver {
  /** Where events are posted to; GET shows them, the newest first, as JSON. */
  readonly url: string;
  /** The secret that the API answered when the webhook was made. */
  secretIs(secret: string): void;
  stop(): Promise<void>;
}

/** Events that are shown. */
const shownEvents = 100;

/** @param onEvent Called with the kind of each event that is signed with our secret. */
export async function openWebhookReceiver(onEvent: (kind: string) => void): Promise<WebhookReceiver> {
  const events: unknown[] = [];
  let key = Buffer.alloc(0);
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'application/json').end(`${JSON.stringify(events, null, 2)}\n`);
      return;
    }
    const body = await text(request).catch(() => '');
    const event = JSON.parse(body) as { readonly type: string };
    const isOurs = isSigned(request, body, key);
    // A webhook that somebody made at this address has a secret of its own.
    events.unshift(isOurs ? event : { ...event, signature: 'of a secret that is not known here' });
    events.splice(shownEvents);
    response.writeHead(204).end();
    if (isOurs) onEvent(event.type);
  };
  const server = createServer((request, response) => {
    receive(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    secretIs(secret) {
      key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As Standard Webhooks 1.0 signs: id, time and body together. */
function isSigned({ headers }: IncomingMessage, body: string, key: Buffer): boolean {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const wanted = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  const given = Buffer.from(String(headers['webhook-signature']));
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
