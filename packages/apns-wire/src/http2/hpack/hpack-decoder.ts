import { asBuffer } from '../../copy-bytes.ts';
import { Http2WireError } from '../http2-error.ts';
import { DynamicTable } from './dynamic-table.ts';
import { decodeHuffman, huffmanDecodedLimit } from './huffman.ts';
import { firstDynamicIndex, staticNames, staticValues } from './static-table.ts';

export interface HpackDecoderOptions {
  /** Our SETTINGS_HEADER_TABLE_SIZE. Default 4,096, as without the setting. */
  readonly maxTableBytes?: number;
  /** Names and values of one block, counted as RFC 9113 section 6.5.2 does. Default 65,536. */
  readonly maxHeaderListBytes?: number;
}

/** Receives the fields of a block, in order. */
export type FieldSink = (name: string, value: string) => void;

/** What a field counts for besides its text (RFC 9113 section 6.5.2). */
const fieldOverhead = 32;
/** Far more than any length that the limits let through: 2^28. */
const maxIntegerShift = 28;

/**
 * Reads header blocks of one connection, in order (RFC 7541). Every block has to go through it, also of streams that
 * nobody asks about any more: each may change the dynamic table.
 *
 * Text is octets (latin1). Throws `http2-compression-error` for what is no HPACK and `http2-flood` for a list over the
 * limit. After these it is done: the table may be wrong. Throws `http2-protocol-error`, for the stream alone, for text
 * that no field may have (RFC 9113 section 8.2.1); so it does with such an error of the sink. Then the whole block has
 * been read and the next one can be.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxHeaderListBytes: number;
  #maxTableBytes: number;
  #error: Http2WireError | undefined;
  /** What makes no sense in the block at hand, though it is HPACK. */
  #malformed: Http2WireError | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #scratch = Buffer.alloc(256);

  constructor(options: HpackDecoderOptions = {}) {
    this.#maxTableBytes = options.maxTableBytes ?? 4_096;
    this.#maxHeaderListBytes = options.maxHeaderListBytes ?? 65_536;
    this.#table = new DynamicTable(this.#maxTableBytes);
  }

  /** Size of the dynamic table as RFC 7541 section 4.1 counts, and how many entries it has. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  get tableEntries(): number {
    return this.#table.count;
  }

  /** The peer has acknowledged another SETTINGS_HEADER_TABLE_SIZE of ours. */
  setMaxTableBytes(maxTableBytes: number): void {
    this.#maxTableBytes = maxTableBytes;
  }

  /** Reads one whole block. */
  decode(bytes: Uint8Array, start: number, end: number, sink: FieldSink): void {
    if (this.#error !== undefined) throw this.#error;
    try {
      this.#decode(bytes, start, end, sink);
    } catch (error) {
      if (error instanceof Http2WireError) this.#error = error;
      throw error;
    }
    if (this.#malformed !== undefined) throw this.#malformed;
  }

  #decode(bytes: Uint8Array, start: number, end: number, sink: FieldSink): void {
    this.#bytes = asBuffer(bytes);
    this.#at = start;
    this.#end = end;
    this.#malformed = undefined;
    let listBytes = 0;
    let sizeMayChange = true;
    while (this.#at < end) {
      const first = this.#bytes[this.#at]!;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        // 1xxxxxxx: a field of a table (section 6.1).
        const index = this.#readInteger(7);
        name = this.#nameOf(index);
        value = this.#valueOf(index);
      } else if (first >= 0x40) {
        // 01xxxxxx: a literal, which enters the table (section 6.2.1).
        const index = this.#readInteger(6);
        name = index === 0 ? this.#readName() : this.#nameOf(index);
        value = this.#readValue();
        this.#table.add(name, value);
      } else if (first >= 0x20) {
        // 001xxxxx: the size of the table, only before the first field (sections 4.2 and 6.3).
        const maxBytes = this.#readInteger(5);
        if (!sizeMayChange) throw malformed('changes the size of the table between fields');
        if (maxBytes > this.#maxTableBytes) {
          throw malformed(`sets a table of ${maxBytes} bytes, and ${this.#maxTableBytes} are allowed`);
        }
        this.#table.resize(maxBytes);
        continue;
      } else {
        // 0000xxxx and 0001xxxx: a literal that does not, or never must, enter a table (sections 6.2.2, 6.2.3).
        const index = this.#readInteger(4);
        name = index === 0 ? this.#readName() : this.#nameOf(index);
        value = this.#readValue();
      }
      sizeMayChange = false;
      listBytes += name.length + value.length + fieldOverhead;
      if (listBytes > this.#maxHeaderListBytes) {
        throw new Http2WireError('http2-flood', `A header list exceeds ${this.#maxHeaderListBytes} bytes`);
      }
      if (this.#malformed === undefined) this.#emit(sink, name, value);
    }
  }

  #emit(sink: FieldSink, name: string, value: string): void {
    try {
      sink(name, value);
    } catch (error) {
      if (!(error instanceof Http2WireError) || error.scope === 'connection') throw error;
      this.#malformed = error;
    }
  }

  #nameOf(index: number): string {
    return index < firstDynamicIndex
      ? staticNames[this.#checkedStatic(index)]!
      : this.#table.nameAt(this.#back(index));
  }

  #valueOf(index: number): string {
    return index < firstDynamicIndex
      ? staticValues[this.#checkedStatic(index)]!
      : this.#table.valueAt(this.#back(index));
  }

  #checkedStatic(index: number): number {
    if (index === 0) throw malformed('refers to index 0');
    return index;
  }

  #back(index: number): number {
    const back = index - firstDynamicIndex;
    if (back >= this.#table.count) throw malformed(`refers to index ${index}, which the table does not have`);
    return back;
  }

  #readInteger(prefixBits: number): number {
    const limit = (1 << prefixBits) - 1;
    let value = this.#bytes[this.#at++]! & limit;
    if (value < limit) return value;
    for (let shift = 0; shift <= maxIntegerShift; shift += 7) {
      if (this.#at >= this.#end) throw malformed('ends in the middle of a number');
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed('has a number too large to mean anything');
  }

  #readName(): string {
    const name = this.#readText();
    if (!isFieldName(name)) this.#malformed ??= badText('name', name);
    return name;
  }

  #readValue(): string {
    const value = this.#readText();
    if (!isFieldValue(value)) this.#malformed ??= badText('value', value);
    return value;
  }

  /** A string, Huffman-coded or not (section 5.2). */
  #readText(): string {
    if (this.#at >= this.#end) throw malformed('ends where a string should begin');
    const isHuffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#readInteger(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw malformed('ends in the middle of a string');
    this.#at = end;
    if (!isHuffman) return this.#bytes.toString('latin1', start, end);
    const room = huffmanDecodedLimit(length);
    if (this.#scratch.length < room) this.#scratch = Buffer.alloc(room);
    const written = decodeHuffman(this.#bytes, start, end, this.#scratch);
    return this.#scratch.toString('latin1', 0, written);
  }
}

/** No upper case, no control characters, no space, a colon only in front (RFC 9113 section 8.2.1). */
function isFieldName(name: string): boolean {
  if (name.length === 0) return false;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || (code >= 0x41 && code <= 0x5a) || (code === 0x3a && at > 0)) {
      return false;
    }
  }
  return name !== ':';
}

/** No NUL, CR or LF anywhere, and no space or tab at either end. */
function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === 0x00 || code === 0x0a || code === 0x0d) return false;
    if ((code === 0x20 || code === 0x09) && (at === 0 || at === value.length - 1)) return false;
  }
  return true;
}

function malformed(what: string): Http2WireError {
  return new Http2WireError('http2-compression-error', `A header block ${what}`);
}

function badText(part: string, text: string): Http2WireError {
  return new Http2WireError(
    'http2-protocol-error',
    `A field's ${part} of ${text.length} characters has a character that it must not have`,
    'stream',
  );
}
