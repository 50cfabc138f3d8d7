import { ApnsWireError } from '../errors.ts';
import {
  Command,
  framedHeaderLength,
  ItemId,
  itemHeaderLength,
  type NotificationCommand,
} from './command.ts';

/** One frame as a value. Which fields its command carries: `docs/protocol/binary.md#frames`. */
export interface BinaryNotification {
  readonly command: NotificationCommand;
  /** Device token; empty in a known-bad frame. */
  readonly token: Uint8Array;
  /** UTF-8 JSON. */
  readonly payload: Uint8Array;
  /** Commands 1 and 2; absent or 0: the gateway cannot name this frame. */
  readonly identifier?: number;
  /** Commands 1 and 2; epoch seconds, 0: do not store. Always sent by command 1. */
  readonly expiration?: number;
  /** Command 2: 10 or 5. */
  readonly priority?: number;
}

/**
 * Encodes one frame, whatever its token and payload are: for tests, tools and probes. Runs of frames go through
 * `FrameEncoder`. Command 2 leaves out the items that are undefined.
 *
 * Throws `field-out-of-range` when a value does not fit in its field.
 */
export function encodeNotification(notification: BinaryNotification): Buffer {
  const { command, token, payload, identifier, expiration, priority } = notification;
  if (command === Command.framed) {
    const items = [
      item(ItemId.token, token),
      item(ItemId.payload, payload),
      ...(identifier === undefined ? [] : [item(ItemId.identifier, u32('identifier', identifier))]),
      ...(expiration === undefined ? [] : [item(ItemId.expiration, u32('expiration', expiration))]),
      ...(priority === undefined ? [] : [item(ItemId.priority, u8('priority', priority))]),
    ];
    return encodeFramedItems(items);
  }
  const tokenAndPayload = [
    u16('token length', token.length),
    token,
    u16('payload length', payload.length),
    payload,
  ];
  if (command === Command.simple) return Buffer.concat([Buffer.of(command), ...tokenAndPayload]);
  const numbers = [u32('identifier', identifier ?? 0), u32('expiration', expiration ?? 0)];
  return Buffer.concat([Buffer.of(command), ...numbers, ...tokenAndPayload]);
}

/**
 * A frame with a zero-length token and nothing else wrong: the gateway's status 2 for it proves that everything
 * before it on the connection was accepted (`docs/protocol/binary.md#known-bad-frame`). Command 0 gets no packet, so
 * it can prove nothing.
 */
export function encodeKnownBadFrame(command: 1 | 2, identifier: number): Buffer {
  return encodeNotification({
    command,
    token: new Uint8Array(0),
    payload: Buffer.from('{"aps":{}}'),
    identifier,
    expiration: 0,
    ...(command === Command.framed ? { priority: 5 } : {}),
  });
}

function encodeFramedItems(items: readonly Buffer[]): Buffer {
  const length = items.reduce((sum, bytes) => sum + bytes.length, 0);
  const header = Buffer.alloc(framedHeaderLength);
  header[0] = Command.framed;
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, ...items]);
}

function item(id: number, data: Uint8Array): Buffer {
  const header = Buffer.alloc(itemHeaderLength);
  header[0] = id;
  header.set(u16(`length of item ${id}`, data.length), 1);
  return Buffer.concat([header, data]);
}

const u8 = (field: string, value: number): Buffer => integer(field, value, 1);
const u16 = (field: string, value: number): Buffer => integer(field, value, 2);
const u32 = (field: string, value: number): Buffer => integer(field, value, 4);

function integer(field: string, value: number, bytes: 1 | 2 | 4): Buffer {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes)) {
    throw new ApnsWireError(
      'field-out-of-range',
      `${field}: ${value} is not an unsigned integer of ${8 * bytes} bits`,
    );
  }
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}
