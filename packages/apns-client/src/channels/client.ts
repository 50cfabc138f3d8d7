import { randomUUID } from 'node:crypto';
import { ChannelError } from './error.ts';
import type { ChannelClientOptions } from './options.ts';
import { ChannelSessions } from './sessions.ts';

// Broadcast channels of Live Activities (iOS 18 and later): one notification to a channel reaches every device that
// has subscribed to it.

/** What APNs keeps of a channel's messages for devices that are offline: nothing, or the latest. */
export type MessageStorage = 'none' | 'latest';

export interface ChannelMessage {
  /** UTF-8 JSON, at most 5,120 bytes. */
  readonly payload: string;
  /** Epoch seconds; 0, the default: not stored. A channel that stores nothing takes no other. */
  readonly expiration?: number;
  /** 10 by default. */
  readonly priority?: 10 | 5 | 1;
}

/** Every call rejects with `ChannelError`. */
export interface ChannelClient {
  /** Creates a channel. Returns its id: base64. An app may have 10,000 in each environment. */
  create(storage: MessageStorage): Promise<string>;
  read(channelId: string): Promise<{ readonly storage: MessageStorage }>;
  delete(channelId: string): Promise<void>;
  /** Ids of all channels of the app. */
  list(): Promise<string[]>;
  /** Sends to every device that has subscribed. Not sent again by itself: a second one would be shown. */
  send(channelId: string, message: ChannelMessage): Promise<{ readonly requestId: string }>;
  close(): void;
}

/** Of a broadcast, UTF-8 bytes. */
const maxPayloadBytes = 5_120;

/** Opens nothing before the first call. */
export function createChannelClient(options: ChannelClientOptions): ChannelClient {
  const { manage, send, topic } = options;
  const sessions = new ChannelSessions(options);
  const app = encodeURIComponent(topic);
  const channels = `/1/apps/${app}/channels`;
  return {
    async create(storage) {
      const policy = storage === 'latest' ? 1 : 0;
      const body = JSON.stringify({ 'message-storage-policy': policy, 'push-type': 'LiveActivity' });
      const { headers } = await sessions.call({ endpoint: manage, method: 'POST', path: channels, body });
      const channelId = headers['apns-channel-id'];
      if (typeof channelId === 'string' && channelId !== '') return channelId;
      throw new ChannelError('answer-unreadable', 'The channel was created, and the answer does not name it');
    },
    async read(channelId) {
      const { body } = await sessions.call({
        ...{ endpoint: manage, method: 'GET', path: channels },
        headers: channelHeader(channelId),
      });
      const { 'message-storage-policy': policy } = parseObject(body);
      if (policy !== 0 && policy !== 1) {
        throw new ChannelError('answer-unreadable', 'The answer has no message-storage-policy');
      }
      return { storage: policy === 1 ? 'latest' : 'none' };
    },
    async delete(channelId) {
      await sessions.call({
        ...{ endpoint: manage, method: 'DELETE', path: channels },
        headers: channelHeader(channelId),
      });
    },
    async list() {
      const path = `/1/apps/${app}/all-channels`;
      const { body } = await sessions.call({ endpoint: manage, method: 'GET', path });
      const { channels: ids } = parseObject(body);
      if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return ids;
      throw new ChannelError('answer-unreadable', 'The answer has no list of channels');
    },
    async send(channelId, { payload, expiration = 0, priority = 10 }) {
      const bytes = Buffer.byteLength(payload);
      if (bytes > maxPayloadBytes) {
        throw new ChannelError(
          'request-invalid',
          `payload: has ${bytes} bytes, at most ${maxPayloadBytes} are taken`,
        );
      }
      const requestId = randomUUID();
      await sessions.call({
        endpoint: send,
        method: 'POST',
        path: `/4/broadcasts/apps/${app}`,
        headers: {
          ...channelHeader(channelId),
          'apns-push-type': 'liveactivity',
          'apns-expiration': String(expiration),
          'apns-priority': String(priority),
          'apns-request-id': requestId,
        },
        body: payload,
      });
      return { requestId };
    },
    close: () => sessions.close(),
  };
}

function channelHeader(channelId: string): Readonly<Record<string, string>> {
  if (/^[A-Za-z0-9+/_=-]{1,256}$/.test(channelId)) return { 'apns-channel-id': channelId };
  throw new ChannelError('request-invalid', 'channelId: is not one that APNs gives');
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // As unreadable as any other.
  }
  throw new ChannelError('answer-unreadable', 'The answer is not a JSON object');
}
