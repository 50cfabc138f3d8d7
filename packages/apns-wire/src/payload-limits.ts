/** Largest payload in UTF-8 bytes, by what carries it (`docs/protocol/binary.md#payload-limits`). */
export const payloadLimits = {
  simple: 256,
  enhanced: 256,
  framed: 2048,
  http2: 4096,
  http2Voip: 5120,
} as const;

/** Of each command of the binary protocol. */
export const commandPayloadLimits = {
  0: payloadLimits.simple,
  1: payloadLimits.enhanced,
  2: payloadLimits.framed,
} as const;

/** On HTTP/2, by push type; undefined: not VoIP. */
export function http2PayloadLimit(pushType: string | undefined): number {
  return pushType === 'voip' ? payloadLimits.http2Voip : payloadLimits.http2;
}

/** What carries a payload: a binary command, or HTTP/2 (VoIP pushes have a limit of their own there). */
export type PayloadCarrier = keyof typeof payloadLimits;
