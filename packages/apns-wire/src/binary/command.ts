export { maxBinaryTokenBytes as maxDeviceTokenBytes } from '../device-token.ts';
export { commandPayloadLimits as maxPayloadBytes } from '../payload-limits.ts';

// What exists in the binary protocol (`docs/protocol/binary.md#frames`). Integers are big-endian.

/** The first byte of every packet. */
export const Command = { simple: 0, enhanced: 1, framed: 2, errorResponse: 8 } as const;

/** Commands that carry a notification. */
export type NotificationCommand = 0 | 1 | 2;

/** Items of a command 2 frame: id u8 · length u16 · data. */
export const ItemId = { token: 1, payload: 2, identifier: 3, expiration: 4, priority: 5 } as const;

const commandByte = 1;
const u16 = 2;
const u32 = 4;

/** Header of one item: id and length. */
export const itemHeaderLength = 1 + u16;

/** Header of a command 2 frame: command and frame length, which counts what follows it. */
export const framedHeaderLength = commandByte + u32;

/** Bytes of a frame besides token and payload; for command 2 with all five items. */
export const frameOverhead = {
  // 00 · token length u16 · token · payload length u16 · payload
  [Command.simple]: commandByte + u16 + u16,
  // 01 · identifier u32 · expiry u32 · token length u16 · token · payload length u16 · payload
  [Command.enhanced]: commandByte + u32 + u32 + u16 + u16,
  // 02 · frame length u32 · five items, of which three have data of fixed length
  [Command.framed]: framedHeaderLength + 5 * itemHeaderLength + u32 + u32 + 1,
} as const satisfies Record<NotificationCommand, number>;

/** Length in bytes of a whole frame, command byte included. */
export function frameLength(
  command: NotificationCommand,
  tokenLength: number,
  payloadLength: number,
): number {
  return frameOverhead[command] + tokenLength + payloadLength;
}
