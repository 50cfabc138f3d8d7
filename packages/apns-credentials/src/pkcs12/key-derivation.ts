import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The diversifier of RFC 7292 appendix B.3. */
const purposes = { key: 1, iv: 2, mac: 3 } as const;

const digests = {
  sha1: { blockBytes: 64, outputBytes: 20 },
  sha224: { blockBytes: 64, outputBytes: 28 },
  sha256: { blockBytes: 64, outputBytes: 32 },
  sha384: { blockBytes: 128, outputBytes: 48 },
  sha512: { blockBytes: 128, outputBytes: 64 },
} as const;
export type Pkcs12Digest = keyof typeof digests;

export interface Pkcs12KeyOptions {
  /** Absent is not the same as empty: writers disagree on what no passphrase means. */
  readonly passphrase: string | undefined;
  readonly purpose: keyof typeof purposes;
  readonly digest: Pkcs12Digest;
  readonly salt: Buffer;
  readonly iterations: number;
  /** Bytes wanted. */
  readonly length: number;
}

/** Rounds done in one turn of the event loop: some milliseconds. */
const roundsPerTurn = 2_000;

/**
 * The key derivation of PKCS #12 (RFC 7292 appendix B.2), which nothing but PKCS #12 uses. Node.js has none that runs
 * beside the event loop; it lets others in between, since files come with a million rounds.
 */
export async function derivePkcs12Key(options: Pkcs12KeyOptions): Promise<Buffer> {
  const { blockBytes, outputBytes } = digests[options.digest];
  const diversifier = Buffer.alloc(blockBytes, purposes[options.purpose]);
  const salt = repeatToBlocks(options.salt, blockBytes);
  const passphrase = repeatToBlocks(encodeBmpString(options.passphrase), blockBytes);
  const input = Buffer.concat([salt, passphrase]);
  const pieces: Buffer[] = [];
  for (let made = 0; made < options.length; made += outputBytes) {
    let piece = hash(options.digest, Buffer.concat([diversifier, input]), 'buffer');
    for (let round = 1; round < options.iterations; round++) {
      if (round % roundsPerTurn === 0) await nextTurn();
      piece = hash(options.digest, piece, 'buffer');
    }
    pieces.push(piece);
    addToEachBlock(input, repeatToBlocks(piece, blockBytes, blockBytes), blockBytes);
  }
  return Buffer.concat(pieces).subarray(0, options.length);
}

/** UTF-16, most significant byte first, with a terminating NUL (appendix B.1). */
function encodeBmpString(passphrase: string | undefined): Buffer {
  return passphrase === undefined ? Buffer.alloc(0) : Buffer.from(`${passphrase}\0`, 'utf16le').swap16();
}

/** Copies of `bytes` up to the next multiple of a block, the last one cut. */
function repeatToBlocks(bytes: Buffer, blockBytes: number, length = bytes.length): Buffer {
  const wanted = Math.ceil(length / blockBytes) * blockBytes;
  return bytes.length === 0 ? Buffer.alloc(0) : Buffer.alloc(wanted, bytes);
}

/** I_j = (I_j + B + 1) mod 2^v, the numbers being big-endian. */
function addToEachBlock(input: Buffer, addend: Buffer, blockBytes: number): void {
  for (let start = 0; start < input.length; start += blockBytes) {
    let carry = 1;
    for (let at = blockBytes - 1; at >= 0; at--) {
      const sum = input[start + at]! + addend[at]! + carry;
      input[start + at] = sum & 0xff;
      carry = sum >> 8;
    }
  }
}
