import { asBuffer, copyBytes, viewOf } from '../copy-bytes.ts';
import { ApnsWireError } from '../errors.ts';
import type { NotificationColumns } from '../notification-columns.ts';
import {
  Command,
  framedHeaderLength,
  frameLength,
  frameOverhead,
  ItemId,
  type NotificationCommand,
} from './command.ts';
import { nextIdentifier } from './identifier.ts';

/**
 * Writes frames of one command for runs of notifications: the hot path of the binary transport.
 *
 * Nothing is allocated per frame or per call; views on the buffers are kept while the same buffers come in again.
 * Two encoders share nothing. Layouts: `docs/protocol/binary.md#frames`; items of command 2 go out as 1, 2, 3, 4, 5.
 */
export class FrameEncoder {
  readonly command: NotificationCommand;
  /** After `encode`: the first position that has not been written. */
  position = 0;
  /** After `encode`: the identifier that the frame at `position` would get. */
  identifier = 1;

  #target: Buffer = emptyBuffer;
  #targetView = viewOf(emptyBuffer);
  #columns: NotificationColumns | undefined;
  #tokens: Buffer = emptyBuffer;
  #tokensView = viewOf(emptyBuffer);
  #payloads: Buffer = emptyBuffer;
  #payloadsView = viewOf(emptyBuffer);

  constructor(command: NotificationCommand) {
    this.command = command;
  }

  /**
   * Writes the frames of positions `from` to `to` (exclusive) into `target` from `offset` on, until the next frame
   * has no room. Identifiers count up from `firstIdentifier`, 0 left out; command 0 carries none.
   *
   * Returns the offset after the last frame; `position` and `identifier` say where to go on. A frame longer than the
   * whole target is never written: size targets by `frameLength`. Lengths and limits that the gateway checks are
   * not checked here, but a token or payload that overflows its u16 length throws `field-out-of-range`, with the
   * frames before it written and `position` at the offender.
   */
  encode(
    target: Buffer,
    offset: number,
    columns: NotificationColumns,
    from: number,
    to: number,
    firstIdentifier: number,
  ): number {
    this.#look(target, columns);
    const { tokenOffsets, payloadOf, payloadOffsets } = columns;
    const end = target.length;
    const overhead = frameOverhead[this.command];
    let identifier = firstIdentifier;
    let position = from;
    for (; position < to; position++) {
      const tokenStart = tokenOffsets[position]!;
      const tokenLength = tokenOffsets[position + 1]! - tokenStart;
      const payload = payloadOf[position]!;
      const payloadStart = payloadOffsets[payload]!;
      const payloadLength = payloadOffsets[payload + 1]! - payloadStart;
      if (tokenLength > 0xffff || payloadLength > 0xffff) {
        this.position = position;
        this.identifier = identifier;
        refuseLength(position, tokenLength, payloadLength);
      }
      const length = overhead + tokenLength + payloadLength;
      if (offset + length > end) break;
      if (this.command === Command.framed) {
        const expiration = columns.expirations[position]!;
        const priority = columns.priorities[position]!;
        this.#framed(
          offset,
          length,
          tokenStart,
          tokenLength,
          payloadStart,
          payloadLength,
          identifier,
          expiration,
          priority,
        );
      } else {
        let at = offset;
        this.#targetView.setUint8(at++, this.command);
        if (this.command === Command.enhanced) {
          this.#targetView.setUint32(at, identifier);
          this.#targetView.setUint32(at + 4, columns.expirations[position]!);
          at += 8;
        }
        this.#lengthAndToken(at, tokenStart, tokenLength);
        this.#lengthAndPayload(at + 2 + tokenLength, payloadStart, payloadLength);
      }
      offset += length;
      identifier = nextIdentifier(identifier);
    }
    this.position = position;
    this.identifier = identifier;
    return offset;
  }

  #framed(
    at: number,
    length: number,
    tokenStart: number,
    tokenLength: number,
    payloadStart: number,
    payloadLength: number,
    identifier: number,
    expiration: number,
    priority: number,
  ): void {
    const view = this.#targetView;
    view.setUint8(at, Command.framed);
    view.setUint32(at + 1, length - framedHeaderLength);
    view.setUint8(at + 5, ItemId.token);
    this.#lengthAndToken(at + 6, tokenStart, tokenLength);
    at += 8 + tokenLength;
    view.setUint8(at, ItemId.payload);
    this.#lengthAndPayload(at + 1, payloadStart, payloadLength);
    at += 3 + payloadLength;
    view.setUint8(at, ItemId.identifier);
    view.setUint16(at + 1, 4);
    view.setUint32(at + 3, identifier);
    view.setUint8(at + 7, ItemId.expiration);
    view.setUint16(at + 8, 4);
    view.setUint32(at + 10, expiration);
    view.setUint8(at + 14, ItemId.priority);
    view.setUint16(at + 15, 1);
    view.setUint8(at + 17, priority);
  }

  #lengthAndToken(at: number, start: number, length: number): void {
    this.#targetView.setUint16(at, length);
    copyBytes(this.#target, this.#targetView, at + 2, this.#tokens, this.#tokensView, start, length);
  }

  #lengthAndPayload(at: number, start: number, length: number): void {
    this.#targetView.setUint16(at, length);
    copyBytes(this.#target, this.#targetView, at + 2, this.#payloads, this.#payloadsView, start, length);
  }

  #look(target: Buffer, columns: NotificationColumns): void {
    if (target !== this.#target) {
      this.#target = target;
      this.#targetView = viewOf(target);
    }
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.#tokens = asBuffer(columns.tokens);
      this.#tokensView = viewOf(this.#tokens);
      this.#payloads = asBuffer(columns.payloads);
      this.#payloadsView = viewOf(this.#payloads);
    }
  }
}

/** Bytes that the frames of positions `from` to `to` (exclusive) take together. */
export function encodedLength(
  command: NotificationCommand,
  columns: NotificationColumns,
  from: number,
  to: number,
): number {
  const { tokenOffsets, payloadOf, payloadOffsets } = columns;
  let length = 0;
  for (let position = from; position < to; position++) {
    const payload = payloadOf[position]!;
    const tokenLength = tokenOffsets[position + 1]! - tokenOffsets[position]!;
    length += frameLength(command, tokenLength, payloadOffsets[payload + 1]! - payloadOffsets[payload]!);
  }
  return length;
}

const emptyBuffer = Buffer.alloc(0);

function refuseLength(position: number, tokenLength: number, payloadLength: number): never {
  const [field, length] = tokenLength > 0xffff ? ['token', tokenLength] : ['payload', payloadLength];
  throw new ApnsWireError(
    'field-out-of-range',
    `${field} of the notification at position ${position}: ${length} bytes do not fit in a length of 16 bits`,
  );
}
