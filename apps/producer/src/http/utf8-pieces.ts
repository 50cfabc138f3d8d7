/** Bytes of a piece, about: looked over and parsed in well under a millisecond. */
const pieceBytes = 64 * 1024;

/** The same bytes in pieces of one size, however they came. No character of UTF-8 is in two of them. */
export function* utf8Pieces(chunks: readonly Buffer[]): Generator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + pieceBytes - bytes);
      from += part.length;
      bytes += part.length;
      parts.push(part);
      if (bytes < pieceBytes) continue;
      const piece = Buffer.concat(parts, bytes);
      const end = endOfCharacters(piece);
      yield piece.subarray(0, end);
      parts = end === bytes ? [] : [piece.subarray(end)];
      bytes -= end;
    }
  }
  if (bytes > 0) yield Buffer.concat(parts, bytes);
}

/** Where a last character begins that is not whole, else the end. */
function endOfCharacters(bytes: Buffer): number {
  for (let length = 1; length <= 3; length++) {
    const byte = bytes[bytes.length - length]!;
    // A byte that continues a character.
    if (byte >> 6 === 0b10) continue;
    const due = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return due > length ? bytes.length - length : bytes.length;
  }
  return bytes.length;
}
