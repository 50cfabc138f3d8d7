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

/** How the notifications of an app travel. `commandVersion`: of the binary protocol, default 2. */
export interface PayloadRoute {
  readonly transport: 'binary' | 'http2';
  readonly commandVersion?: 0 | 1 | 2;
}

export function payloadLimit(
  { transport, commandVersion = 2 }: PayloadRoute,
  pushType: string | undefined,
): number {
  return transport === 'binary' ? commandPayloadLimits[commandVersion] : http2PayloadLimit(pushType);
}

/** What carries a payload: a binary command, or HTTP/2 (VoIP pushes have a limit of their own there). */
export type PayloadCarrier = keyof typeof payloadLimits;
