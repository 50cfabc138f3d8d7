/** Payloads up to this length are compared in a loop; above, the call into native code pays. Bytes. */
const longestLoop = 512;

/**
 * The 64-bit key of a notification's content: a hash of its token and payload, since the binary protocol has no id
 * from end to end. That two of ten million notifications share a key by chance happens in one run of 300,000.
 *
 * One per connection: a payload equal to the one before (a broadcast) is compared, not hashed again. Results are
 * fields, signed 32-bit halves, so that nothing is allocated per notification.
 */
export class ContentKey {
  /** Of token and payload together. */
  low = 0;
  high = 0;
  /** Of the token alone. */
  tokenLow = 0;
  tokenHigh = 0;
  /** Of the payload alone. */
  payloadLow = 0;
  payloadHigh = 0;
  /** The payload is, byte for byte, that of the call before. */
  payloadRepeated = false;

  #seen: Uint8Array = emptyBytes;
  #bytes: Buffer = emptyBytes;
  #view = viewOf(emptyBytes);
  #previous = emptyBytes;
  #previousView = viewOf(emptyBytes);
  #previousLength = -1;
  #hashLow = 0;
  #hashHigh = 0;

  read(
    bytes: Uint8Array,
    tokenStart: number,
    tokenLength: number,
    payloadStart: number,
    payloadLength: number,
  ): void {
    if (bytes !== this.#seen) {
      this.#seen = bytes;
      this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.#view = viewOf(bytes);
    }
    this.payloadRepeated = this.#isPrevious(payloadStart, payloadLength);
    if (!this.payloadRepeated) {
      this.#hash(payloadStart, payloadLength);
      this.payloadLow = this.#hashLow;
      this.payloadHigh = this.#hashHigh;
      this.#keep(payloadStart, payloadLength);
    }
    this.#hash(tokenStart, tokenLength);
    this.tokenLow = this.#hashLow;
    this.tokenHigh = this.#hashHigh;
    this.low = finish(this.tokenLow ^ Math.imul(this.payloadLow, 0x9e3779b1));
    this.high = finish(this.tokenHigh ^ Math.imul(this.payloadHigh, 0x85ebca77));
  }

  #isPrevious(start: number, length: number): boolean {
    if (length !== this.#previousLength) return false;
    if (length > longestLoop)
      return this.#previous.compare(this.#bytes, start, start + length, 0, length) === 0;
    const view = this.#view;
    const previous = this.#previousView;
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      if (view.getInt32(start + at, true) !== previous.getInt32(at, true)) return false;
    }
    for (; at < length; at += 1) if (view.getUint8(start + at) !== previous.getUint8(at)) return false;
    return true;
  }

  #keep(start: number, length: number): void {
    if (this.#previous.length < length) {
      this.#previous = Buffer.alloc(2 * length);
      this.#previousView = viewOf(this.#previous);
    }
    this.#bytes.copy(this.#previous, 0, start, start + length);
    this.#previousLength = length;
  }

  /** Two lanes of MurmurHash3 (32 bits) with different seeds and multipliers. */
  #hash(start: number, length: number): void {
    const view = this.#view;
    let low = length | 0;
    let high = ~length;
    let at = start;
    const end = start + length;
    for (; at + 4 <= end; at += 4) {
      const word = view.getInt32(at, true);
      low = mix(low, word, 0xcc9e2d51, 0x1b873593);
      high = mix(high, word, 0x239b961b, 0xab0e9789);
    }
    let rest = 0;
    for (; at < end; at += 1) rest = (rest << 8) | view.getUint8(at);
    this.#hashLow = finish(mix(low, rest, 0xcc9e2d51, 0x1b873593));
    this.#hashHigh = finish(mix(high, rest, 0x239b961b, 0xab0e9789));
  }
}

const emptyBytes = Buffer.alloc(0);

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function mix(hash: number, word: number, c1: number, c2: number): number {
  let k = Math.imul(word, c1);
  k = (k << 15) | (k >>> 17);
  const mixed = hash ^ Math.imul(k, c2);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** MurmurHash3's last step: every bit of the input changes half of the bits. */
function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
