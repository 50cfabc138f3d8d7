export type * from './api-types.ts';
export { createClient, PushfleetClient, type SendOptions, type UploadBody } from './client.ts';
export { operations } from './operations.ts';
export { PushfleetError, type QuotaRefusal } from './pushfleet-error.ts';
export type { CallInput, CallOptions, ClientOptions, OperationName } from './transport.ts';
