import { asBuffer, copyBytes, viewOf } from '../copy-bytes.ts';
import { ApnsWireError } from '../errors.ts';
import type { NotificationColumns } from '../notification-columns.ts';
import { defaultMaxFrameSize, FrameFlag, FrameType, frameHeaderLength } from './frame.ts';
import { writeFrameHeader } from './frame-writer.ts';
import {
  literalLength,
  writeIndexedField,
  writeLiteralField,
  writeLiteralHead,
} from './hpack/hpack-encoder.ts';
import { StaticIndex } from './hpack/static-table.ts';

/**
 * Request headers besides those of the columns (`docs/protocol/http2.md#requests`); a single value stands for all
 * positions.
 */
export interface RequestHeaders {
  /** `bearer <jwt>`; absent: the certificate speaks. */
  readonly authorization: string | undefined;
  topic(position: number): string;
  pushType(position: number): string;
  collapseId(position: number): string | null;
  /** Lower-case UUID: 36 characters. */
  apnsId(position: number): string;
}

const pathPrefix = Buffer.from('/3/device/', 'latin1');
const uuidLength = 36;
/** The size of the dynamic table becomes 0 (RFC 7541 section 6.3). */
const noDynamicTable = 0x20;

/** Two hex digits of every byte, as they stand in memory. */
const hexPairs = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(byte.toString(16).padStart(2, '0'), 'latin1').readUInt16BE(0),
);

/**
 * Writes requests for runs of notifications: the hot path of the HTTP/2 transport. A request is a HEADERS frame and a
 * DATA frame:
 *
 *   :method POST · :scheme https · :authority     as prepared, once
 *   :path /3/device/<token>                       never indexed
 *   authorization                                 never indexed
 *   apns-topic · apns-push-type · apns-expiration · apns-priority · apns-collapse-id
 *                                                 as prepared, again only when one of them changes
 *   apns-id
 *
 * There is no dynamic table: the first block says so, and whatever the peer sets its table to later needs no answer
 * (RFC 7541 section 4.2). So nothing of one request is left in the peer's memory. Nothing is allocated per request.
 *
 * One encoder belongs to one connection.
 */
export class RequestEncoder {
  /** After `encode`: the first position that has not been written. */
  position = 0;
  /** After `encode`, and where it threw: the offset after the last request that was written. */
  end = 0;
  /** After `encode`: what is left of the window of the connection. */
  window = 0;

  readonly #head: Buffer;
  /** Whether a block has been written on the connection. */
  #isBegun = false;
  #tail: Buffer = Buffer.alloc(1_024);
  #tailView = viewOf(this.#tail);
  #tailLength = 0;
  /** Where in the tail the fields begin that change with the notification rather than with the run. */
  #varyingAt = 0;
  #authorization: string | undefined;
  #topic = '';
  #pushType = '';
  #expiration = -1;
  #priority = -1;
  #collapseId: string | null = null;

  #target: Buffer = emptyBuffer;
  #targetView = viewOf(emptyBuffer);
  #columns: NotificationColumns | undefined;
  #payloads: Buffer = emptyBuffer;
  #payloadsView = viewOf(emptyBuffer);

  /** @param authority host, and port where it is not the usual one */
  constructor(authority: string) {
    const host = { name: StaticIndex.authority, value: authority, indexing: 'without' } as const;
    this.#head = Buffer.alloc(2 + literalLength(host));
    let at = writeIndexedField(this.#head, 0, StaticIndex.methodPost);
    at = writeIndexedField(this.#head, at, StaticIndex.schemeHttps);
    writeLiteralField(this.#head, at, host);
  }

  /**
   * Writes the requests of positions `from` to `to` (exclusive) into `target` from `offset` on, on streams from
   * `firstStreamId` on, until the next has no room in `target`, or its payload none in `window` (flow control of the
   * connection) or in `streamWindow`.
   *
   * Returns the offset after the last; `position` and `window` say where to go on. Throws `field-out-of-range` for a
   * header that cannot be sent, with `position` at the offender and the requests before it written.
   */
  encode(
    target: Buffer,
    offset: number,
    columns: NotificationColumns,
    headers: RequestHeaders,
    from: number,
    to: number,
    firstStreamId: number,
    window: number,
    streamWindow: number,
  ): number {
    this.#look(target, columns);
    const { payloadOf, payloadOffsets } = columns;
    let streamId = firstStreamId;
    this.window = window;
    this.end = offset;
    for (this.position = from; this.position < to; this.position++) {
      const { position } = this;
      const payload = payloadOf[position]!;
      const payloadStart = payloadOffsets[payload]!;
      const payloadLength = payloadOffsets[payload + 1]! - payloadStart;
      if (payloadLength > this.window || payloadLength > streamWindow) break;
      const at = this.#headers(target, this.end, columns, headers, position, streamId);
      if (at < 0 || at + frameHeaderLength + payloadLength > target.length) break;
      const dataAt = writeFrameHeader(
        target,
        at,
        payloadLength,
        FrameType.data,
        FrameFlag.endStream,
        streamId,
      );
      copyBytes(
        target,
        this.#targetView,
        dataAt,
        this.#payloads,
        this.#payloadsView,
        payloadStart,
        payloadLength,
      );
      this.#isBegun = true;
      this.end = dataAt + payloadLength;
      this.window -= payloadLength;
      streamId += 2;
    }
    return this.end;
  }

  /** Writes the HEADERS of one request, whose DATA is to follow. Returns the offset after it; -1: there is no room. */
  encodeHeaders(
    target: Buffer,
    offset: number,
    columns: NotificationColumns,
    headers: RequestHeaders,
    position: number,
    streamId: number,
  ): number {
    this.#look(target, columns);
    const end = this.#headers(target, offset, columns, headers, position, streamId);
    if (end > 0) this.#isBegun = true;
    return end;
  }

  #headers(
    target: Buffer,
    offset: number,
    columns: NotificationColumns,
    headers: RequestHeaders,
    position: number,
    streamId: number,
  ): number {
    this.#prepare(columns, headers, position);
    const tokenStart = columns.tokenOffsets[position]!;
    const tokenEnd = columns.tokenOffsets[position + 1]!;
    const pathLength = pathPrefix.length + 2 * (tokenEnd - tokenStart);
    const most = frameHeaderLength + 1 + this.#head.length + 8 + pathLength + this.#tailLength + uuidLength;
    if (offset + most > target.length) return -1;
    const blockStart = offset + frameHeaderLength;
    let at = blockStart;
    if (!this.#isBegun) target[at++] = noDynamicTable;
    at += this.#head.copy(target, at);
    at = writeLiteralHead(target, at, StaticIndex.path, 'never', pathLength);
    at = this.#path(target, at, columns.tokens, tokenStart, tokenEnd);
    copyBytes(target, this.#targetView, at, this.#tail, this.#tailView, 0, this.#tailLength);
    at += this.#tailLength;
    at += target.write(headers.apnsId(position), at, uuidLength, 'latin1');
    writeFrameHeader(target, offset, at - blockStart, FrameType.headers, FrameFlag.endHeaders, streamId);
    return at;
  }

  #path(target: Buffer, at: number, tokens: Uint8Array, start: number, end: number): number {
    at += pathPrefix.copy(target, at);
    const view = this.#targetView;
    for (let from = start; from < end; from++, at += 2) view.setUint16(at, hexPairs[tokens[from]!]!);
    return at;
  }

  /** Brings the prepared fields up to what this position needs: mostly, they are. */
  #prepare(columns: NotificationColumns, headers: RequestHeaders, position: number): void {
    const topic = headers.topic(position);
    const pushType = headers.pushType(position);
    const collapseId = headers.collapseId(position);
    const expiration = columns.expirations[position]!;
    const priority = columns.priorities[position]!;
    const isSame =
      this.#tailLength > 0 &&
      topic === this.#topic &&
      pushType === this.#pushType &&
      headers.authorization === this.#authorization;
    if (
      isSame &&
      expiration === this.#expiration &&
      priority === this.#priority &&
      collapseId === this.#collapseId
    ) {
      return;
    }
    this.#tailLength = isSame ? this.#varyingAt : 0;
    try {
      if (!isSame) {
        const { authorization } = headers;
        if (authorization !== undefined) this.#append(StaticIndex.authorization, authorization, 'never');
        this.#append('apns-topic', topic);
        this.#append('apns-push-type', pushType);
        this.#varyingAt = this.#tailLength;
      }
      this.#append('apns-expiration', String(expiration));
      this.#append('apns-priority', String(priority));
      if (collapseId !== null) this.#append('apns-collapse-id', collapseId);
      this.#room(16);
      this.#tailLength = writeLiteralHead(this.#tail, this.#tailLength, 'apns-id', 'without', uuidLength);
    } catch (error) {
      this.#tailLength = 0;
      throw error;
    }
    this.#authorization = headers.authorization;
    this.#topic = topic;
    this.#pushType = pushType;
    this.#expiration = expiration;
    this.#priority = priority;
    this.#collapseId = collapseId;
  }

  #append(name: string | number, value: string, indexing: 'without' | 'never' = 'without'): void {
    this.#room(literalLength({ name, value }));
    this.#tailLength = writeLiteralField(this.#tail, this.#tailLength, { name, value, indexing });
  }

  /** A block has to fit in one frame of the size that every peer takes, with the rest of it. */
  #room(bytes: number): void {
    const length = this.#tailLength + bytes;
    if (length > defaultMaxFrameSize - 1_024) {
      throw new ApnsWireError(
        'field-out-of-range',
        `request headers: more than ${defaultMaxFrameSize} bytes`,
      );
    }
    if (length <= this.#tail.length) return;
    const larger = Buffer.alloc(2 * length);
    this.#tail.copy(larger, 0, 0, this.#tailLength);
    this.#tail = larger;
    this.#tailView = viewOf(larger);
  }

  #look(target: Buffer, columns: NotificationColumns): void {
    if (target !== this.#target) {
      this.#target = target;
      this.#targetView = viewOf(target);
    }
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.#payloads = asBuffer(columns.payloads);
      this.#payloadsView = viewOf(this.#payloads);
    }
  }
}

const emptyBuffer = Buffer.alloc(0);
