import { maxBinaryTokenBytes, maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { commandPayloadLimits, http2PayloadLimit } from '@pushfleet/apns-wire/payload';
import type { AppQuota } from './quota.ts';

/** What has to be known of an app to check its notifications: the fields of `pushfleet.yaml` by the same names. */
export interface AppTraits {
  readonly transport: 'binary' | 'http2';
  /** Binary only; default 2. */
  readonly commandVersion?: 0 | 1 | 2;
  /** What the app may have in its queues. */
  readonly queue?: AppQuota | undefined;
}

/** Most UTF-8 bytes that a payload of this app may have (`docs/protocol/binary.md#payload-limits`). */
export function payloadLimit(traits: AppTraits, pushType: string | undefined): number {
  if (traits.transport === 'binary') return commandPayloadLimits[traits.commandVersion ?? 2];
  return http2PayloadLimit(pushType);
}

/** Longest device token, by transport: that of the binary protocol, and what is stored at all. */
export const maxTokenBytes = { binary: maxBinaryTokenBytes, http2: maxDeviceTokenBytes } as const;
