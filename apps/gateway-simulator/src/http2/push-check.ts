import type { TokenSizes } from '../options.ts';
import { checkBroadcast } from './channels/channel-api.ts';
import { broadcastAppOf } from './channels/channel-paths.ts';
import type { ChannelStore } from './channels/channel-store.ts';
import type { ClientAuthorization } from './client-authorization.ts';
import {
  checkHeaders,
  checkPayload,
  checkRoute,
  checkToken,
  checkTopic,
  type PushRequest,
} from './push-request.ts';
import type { Reason } from './reasons.ts';

export interface PushCheckContext {
  readonly authorization: ClientAuthorization;
  readonly channels: ChannelStore;
  readonly tokenSizes: TokenSizes;
}

/** The topic that a push is for, or the first thing that is wrong with it. */
export function checkPush(
  request: PushRequest,
  { authorization, channels, tokenSizes }: PushCheckContext,
): { readonly topic: string } | Reason {
  const refusal = checkRoute(request) ?? authorization.checkSender(request);
  if (refusal !== undefined) return refusal;
  const bundleId = broadcastAppOf(request.path);
  if (bundleId !== undefined) {
    if (!authorization.covers(bundleId)) return 'TopicMismatch';
    const defect =
      checkBroadcast(request, bundleId, channels) ?? checkHeaders(request) ?? checkPayload(request);
    return defect ?? { topic: bundleId };
  }
  const defect = checkHeaders(request) ?? checkTopic(request);
  if (defect !== undefined) return defect;
  const topic = authorization.topicOf(request);
  return typeof topic === 'string'
    ? topic
    : (checkToken(request, tokenSizes) ?? checkPayload(request) ?? topic);
}
