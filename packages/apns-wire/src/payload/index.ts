export { type PayloadCarrier, payloadLimits } from '../payload-limits.ts';
export {
  type ActivityEvent,
  type Aps,
  type ApsAlert,
  type ApsSound,
  activityEvents,
  checkAps,
  type InterruptionLevel,
  interruptionLevels,
  type Payload,
  requiredPriority,
} from './aps.ts';
export {
  buildPayload,
  type EncodedPayload,
  encodeRawPayload,
  type PayloadOptions,
  type RawPayloadOptions,
} from './encode-payload.ts';
export type { JsonObject, JsonValue } from './json-value.ts';
export type { AlertContent, PayloadContent, SoundContent } from './payload-content.ts';
export { PayloadError, type PayloadErrorCode } from './payload-error.ts';
