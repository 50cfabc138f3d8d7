export {
  http2PayloadLimit,
  type PayloadCarrier,
  type PayloadRoute,
  payloadLimit,
  payloadLimits,
} from '../payload-limits.ts';
export {
  type ActivityEvent,
  type Aps,
  type ApsAlert,
  type ApsLocalized,
  type ApsSound,
  activityEvents,
  type InterruptionLevel,
  interruptionLevels,
  type Payload,
} from './aps.ts';
export {
  buildPayload,
  type EncodedPayload,
  encodePayload,
  encodeRawPayload,
  firstContentField,
  type PayloadInput,
  type PayloadOptions,
} from './encode-payload.ts';
export type { JsonObject, JsonValue } from './json-value.ts';
export type { AlertContent, LocalizedContent, PayloadContent, SoundContent } from './payload-content.ts';
export { PayloadError, type PayloadErrorCode } from './payload-error.ts';
export {
  isKnownPushType,
  isPushType,
  type KnownPushType,
  type PushType,
  pushTypes,
  requiredPriority,
} from './push-type.ts';
