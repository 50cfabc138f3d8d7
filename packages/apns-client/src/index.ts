export type { BackoffPolicy } from './backoff.ts';
export { createBinaryTransport } from './binary/binary-transport.ts';
export type { BinaryTransportOptions } from './binary/binary-transport-options.ts';
export { type Clock, systemClock } from './clock.ts';
export type { CredentialSource, TlsCredential } from './credential-source.ts';
export type { FeedbackEnd, FeedbackResult, ReadFeedbackOptions } from './feedback/feedback-options.ts';
export { readFeedback } from './feedback/read-feedback.ts';
export * from './transport.ts';
