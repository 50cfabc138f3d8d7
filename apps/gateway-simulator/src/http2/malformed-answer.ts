/** What is wrong with the header section of an answer; each is a stream error by RFC 9113 section 8.1.1. */
export const malformations = ['noStatus', 'badStatus', 'upperCase', 'connectionHeader'] as const;
export type Malformation = (typeof malformations)[number];

/** HEADERS with END_STREAM and END_HEADERS, RFC 9113 section 6.2. */
const headersType = 1;
const flags = 0x1 | 0x4;

/** Header blocks (RFC 7541) that change no dynamic table. */
const blocks: Readonly<Record<Malformation, Buffer>> = {
  noStatus: literal('apns-id', 'none'),
  // Literal without indexing, its name the 8th of the static table.
  badStatus: Buffer.from('\x08\x03abc', 'latin1'),
  upperCase: Buffer.concat([status200(), literal('Apns-Id', 'none')]),
  connectionHeader: Buffer.concat([status200(), literal('connection', 'close')]),
};

/** A frame that answers a stream in a way that no gateway may. */
export function encodeMalformedAnswer(streamId: number, malformation: Malformation): Buffer {
  const block = blocks[malformation];
  const head = Buffer.alloc(9);
  head.writeUIntBE(block.length, 0, 3);
  head[3] = headersType;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, block]);
}

/** Indexed: the 8th of the static table, `:status` 200. */
function status200(): Buffer {
  return Buffer.of(0x88);
}

/** Literal without indexing, with a name of its own. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.of(0, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
}
