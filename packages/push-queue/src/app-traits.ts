import { maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { type PayloadCarrier, payloadLimits } from '@pushfleet/apns-wire/payload';
import type { AppQuota } from './quota.ts';

/** What has to be known of an app to check its notifications: the fields of `pushfleet.yaml` by the same names. */
export interface AppTraits {
  readonly transport: 'binary' | 'http2';
  /** Binary only; default 2. */
  readonly commandVersion?: 0 | 1 | 2;
  /** What the app may have in its queues. */
  readonly queue?: AppQuota | undefined;
}

const commandCarriers = ['simple', 'enhanced', 'framed'] as const satisfies readonly PayloadCarrier[];

/** Most UTF-8 bytes that a payload of this app may have (`docs/protocol/binary.md#payload-limits`). */
export function payloadLimit(traits: AppTraits, pushType: string | undefined): number {
  if (traits.transport === 'binary') return payloadLimits[commandCarriers[traits.commandVersion ?? 2]];
  return pushType === 'voip' ? payloadLimits.http2Voip : payloadLimits.http2;
}

/** Longest device token, by transport: that of the binary protocol, and what is stored at all. */
export const maxTokenBytes = { binary: 100, http2: maxDeviceTokenBytes } as const;
