import { createRequire } from 'node:module';

// Other senders, as their users write them.

export type PeerName = 'node-apn' | 'apns2';

export interface PeerOptions {
  /** The folder that they are installed in. */
  readonly peers: string;
  readonly port: number;
  readonly providerKey: { readonly p8: string; readonly keyId: string; readonly teamId: string };
  readonly topic: string;
  /** PEM; `apns2` takes it from NODE_EXTRA_CA_CERTS alone. */
  readonly ca: string;
  /** The text of the alert. */
  readonly alert?: string;
}

export interface Peer {
  /** Throws when the notification is not accepted. */
  send(token: string): Promise<void>;
  close(): Promise<void>;
}

const usualAlert = 'Your order is on its way, and will be there today';

export function openPeer(name: PeerName, options: PeerOptions): Peer {
  return name === 'apns2' ? openApns2(options) : openNodeApn(options);
}

interface NodeApnModule {
  Provider: new (
    options: object,
  ) => {
    send(notification: object, token: string): Promise<{ sent: unknown[]; failed: unknown[] }>;
    shutdown(): void;
  };
  Notification: new () => Record<string, unknown>;
}

/** `@parse/node-apn`. */
function openNodeApn({ peers, port, providerKey, topic, ca, alert = usualAlert }: PeerOptions): Peer {
  const apn = createRequire(`${peers}/`)('@parse/node-apn') as NodeApnModule;
  const provider = new apn.Provider({
    token: { key: providerKey.p8, keyId: providerKey.keyId, teamId: providerKey.teamId },
    address: 'localhost',
    port,
    ca,
    requestTimeout: 60_000,
  });
  return {
    async send(token) {
      const notification = new apn.Notification();
      notification.alert = alert;
      notification.topic = topic;
      notification.pushType = 'alert';
      const { failed } = await provider.send(notification, token);
      if (failed.length > 0) throw new Error(JSON.stringify(failed));
    },
    async close() {
      provider.shutdown();
    },
  };
}

interface Apns2Module {
  ApnsClient: new (
    options: object,
  ) => { client: unknown; send(notification: object): Promise<unknown>; close(): Promise<void> };
  Notification: new (token: string, options: object) => object;
}

/** `apns2`, but for the port: it knows only 443. */
function openApns2({ peers, port, providerKey, topic, alert = usualAlert }: PeerOptions): Peer {
  const load = createRequire(`${peers}/`);
  const { ApnsClient, Notification } = load('apns2') as Apns2Module;
  const { Pool } = load('undici') as { Pool: new (url: string, options: object) => unknown };
  const client = new ApnsClient({
    team: providerKey.teamId,
    keyId: providerKey.keyId,
    signingKey: providerKey.p8,
    defaultTopic: topic,
    host: 'localhost',
  });
  client.client = new Pool(`https://localhost:${port}`, {
    connections: 32,
    pipelining: 1,
    allowH2: true,
    maxConcurrentStreams: 100,
  });
  return {
    async send(token) {
      await client.send(new Notification(token, { alert }));
    },
    async close() {
      await client.close();
    },
  };
}
