export type { BackoffPolicy } from './backoff.ts';
export { createBinaryTransport } from './binary/binary-transport.ts';
export type { BinaryTransportOptions } from './binary/binary-transport-options.ts';
export { type Clock, systemClock } from './clock.ts';
export type { CredentialSource, TlsCredential } from './credential-source.ts';
export type { FeedbackEnd, FeedbackResult, ReadFeedbackOptions } from './feedback/feedback-options.ts';
export { readFeedback } from './feedback/read-feedback.ts';
export {
  type ChannelClient,
  type ChannelMessage,
  createChannelClient,
  type MessageStorage,
} from './http2/channel-client.ts';
export { ChannelError, type ChannelErrorCode } from './http2/channel-error.ts';
export {
  appleChannelEndpoints,
  type ChannelClientOptions,
  type ChannelEndpoint,
} from './http2/channel-options.ts';
export { createHttp2Transport } from './http2/http2-transport.ts';
export type {
  Http2Authentication,
  Http2TransportOptions,
  ProviderTokens,
} from './http2/http2-transport-options.ts';
export type { ProxyOptions } from './http2/open-socket.ts';
export { describeError } from './node-error.ts';
export * from './transport.ts';
