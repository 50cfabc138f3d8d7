export { type Fault, type GatewayAnswer, tokenEvidence } from '@pushfleet/apns-wire/answer';
export type { BinaryTransportOptions } from './binary/options.ts';
export { createBinaryTransport } from './binary/protocol.ts';
export {
  type ChannelClient,
  type ChannelMessage,
  createChannelClient,
  type MessageStorage,
} from './channels/client.ts';
export { ChannelError, type ChannelErrorCode } from './channels/error.ts';
export {
  appleChannelEndpoints,
  type ChannelClientOptions,
  type ChannelEndpoint,
} from './channels/options.ts';
export type { FeedbackEnd, FeedbackResult, ReadFeedbackOptions } from './feedback/options.ts';
export { readFeedback } from './feedback/read-feedback.ts';
export type {
  Http2Authentication,
  Http2TransportOptions,
  ProviderTokens,
} from './http2/options.ts';
export { createHttp2Transport } from './http2/protocol.ts';
export type { CredentialSource, TlsCredential } from './socket/credential.ts';
export type { ProxyOptions } from './socket/dial.ts';
export { describeError } from './socket/node-error.ts';
export type { BackoffPolicy } from './transport/backoff.ts';
export { type Clock, systemClock } from './transport/clock.ts';
export { ConnectionAllowance } from './transport/connection-allowance.ts';
export * from './transport/transport.ts';
