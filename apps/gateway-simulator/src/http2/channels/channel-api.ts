import { z } from 'zod';
import { headerOf, type PushRequest } from '../push-request.ts';
import type { Reason } from '../reasons.ts';
import { channelAppOf } from './channel-paths.ts';
import type { ChannelStore } from './channel-store.ts';

/** The answer to a request that was served. */
export interface ChannelAnswer {
  readonly status: 200 | 201 | 204;
  /** Of the channel that was created. */
  readonly channelId?: string;
  readonly body?: object;
}

const creationSchema = z.looseObject({
  'message-storage-policy': z.literal([0, 1]),
  'push-type': z.string(),
});

/** Creates, reads, deletes or lists channels, for somebody who may. */
export function serveChannels(request: PushRequest, store: ChannelStore): ChannelAnswer | Reason {
  const app = channelAppOf(request.path);
  if (app === undefined) return 'BadPath';
  const { bundleId, isList } = app;
  const { method, headers } = request;
  if (isList) {
    return method === 'GET' ? { status: 200, body: { channels: store.idsOf(bundleId) } } : 'MethodNotAllowed';
  }
  if (method === 'POST') return create(request, bundleId, store);
  if (method !== 'GET' && method !== 'DELETE') return 'MethodNotAllowed';
  const id = headerOf(headers, 'apns-channel-id');
  const refusal = checkChannelId(id);
  if (refusal !== undefined) return refusal;
  const channel = store.find(bundleId, id ?? '');
  if (channel === undefined) return 'ChannelNotRegistered';
  if (method === 'DELETE') {
    store.delete(bundleId, channel.id);
    return { status: 204 };
  }
  const body = { 'message-storage-policy': channel.storagePolicy, 'push-type': 'LiveActivity' };
  return { status: 200, body };
}

function create({ bytes }: PushRequest, bundleId: string, store: ChannelStore): ChannelAnswer | Reason {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'BadRequestPayload';
  }
  const parsed = creationSchema.safeParse(body);
  if (!parsed.success) return 'BadRequestParams';
  if (parsed.data['push-type'].toLowerCase() !== 'liveactivity') return 'InvalidPushType';
  const channel = store.create(bundleId, parsed.data['message-storage-policy'] === 1 ? 1 : 0);
  return channel === undefined ? 'CannotCreateChannelConfig' : { status: 201, channelId: channel.id };
}

/** What is wrong with a broadcast to a channel, apart from what is wrong with every push. */
export function checkBroadcast(
  { headers, pushType }: PushRequest,
  bundleId: string,
  store: ChannelStore,
): Reason | undefined {
  const id = headerOf(headers, 'apns-channel-id');
  const refusal = checkChannelId(id);
  if (refusal !== undefined) return refusal;
  if (pushType === undefined) return 'MissingPushType';
  if (pushType !== 'liveactivity') return 'InvalidPushType';
  const channel = store.find(bundleId, id ?? '');
  if (channel === undefined) return 'ChannelNotRegistered';
  const expiration = headerOf(headers, 'apns-expiration') ?? '0';
  // What is not stored cannot be kept until later.
  return channel.storagePolicy === 0 && expiration !== '0' ? 'BadExpirationDate' : undefined;
}

function checkChannelId(id: string | undefined): Reason | undefined {
  if (id === undefined) return 'MissingChannelId';
  return /^[A-Za-z0-9+/]{1,128}={0,2}$/.test(id) ? undefined : 'BadChannelId';
}
