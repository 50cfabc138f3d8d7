import { randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import type { ClientAuthorization } from '../client-authorization.ts';
import { headerOf, type PushRequest } from '../push-request.ts';
import { reasonStatus } from '../reasons.ts';
import { serveChannels } from './channel-api.ts';
import type { ChannelStore } from './channel-store.ts';

/** Answers a request about an app's channels. It is no notification: ledger and rules know nothing of it. */
export function answerAboutChannels(
  stream: ServerHttp2Stream,
  request: PushRequest,
  bundleId: string,
  context: { readonly authorization: ClientAuthorization; readonly channels: ChannelStore },
): void {
  const { authorization, channels } = context;
  const refusal =
    authorization.checkSender(request) ?? (authorization.covers(bundleId) ? undefined : 'TopicMismatch');
  const answer = refusal ?? serveChannels(request, channels);
  const requestId = headerOf(request.headers, 'apns-request-id') ?? randomUUID();
  if (typeof answer === 'string') {
    stream.respond({ ':status': reasonStatus[answer], 'apns-request-id': requestId });
    stream.end(JSON.stringify({ reason: answer }));
    return;
  }
  const { status, channelId, body } = answer;
  stream.respond({
    ':status': status,
    'apns-request-id': requestId,
    ...(channelId === undefined ? {} : { 'apns-channel-id': channelId }),
  });
  stream.end(body === undefined ? undefined : JSON.stringify(body));
}
