import type { NotificationDecoder } from '@pushfleet/apns-wire';
import type { TokenSizes } from '../options.ts';

// The gateway's own judgement of a frame. The tables are the simulator's own, typed from Apple's "Binary Provider API":
// it must not share them with the code that it judges.

/** Status byte of the error-response packet, those that the gateway gives by itself. */
export const status = {
  missingToken: 2,
  missingPayload: 4,
  invalidTokenSize: 5,
  invalidPayloadSize: 7,
  shutdown: 10,
  protocolError: 128,
} as const;

/** Largest payload of commands 0, 1 and 2, bytes. */
const payloadLimits = [256, 256, 2_048] as const;

/** Longest token that a frame may hold whatever the option says, bytes. */
const longestToken = 100;

/** The status that answers a frame, and undefined for a sound one. */
export function checkFrame(frame: NotificationDecoder, tokenSizes: TokenSizes): number | undefined {
  switch (frame.defect) {
    case 'malformed-items':
    case 'repeated-item':
    case 'item-length':
    case 'unknown-priority':
      return status.protocolError;
    default:
      // Sizes and missing parts are judged here.
      break;
  }
  const { tokenLength, payloadLength } = frame;
  if (tokenLength === 0) return status.missingToken;
  if (tokenLength < tokenSizes.min || tokenLength > Math.min(tokenSizes.max, longestToken))
    return status.invalidTokenSize;
  if (payloadLength === 0) return status.missingPayload;
  return payloadLength > payloadLimits[frame.command] ? status.invalidPayloadSize : undefined;
}

/** 08 · status u8 · identifier u32. */
export function errorPacket(code: number, identifier: number): Buffer {
  const packet = Buffer.of(8, code, 0, 0, 0, 0);
  packet.writeUInt32BE(identifier, 2);
  return packet;
}
