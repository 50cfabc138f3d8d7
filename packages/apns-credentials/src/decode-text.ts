/** A file's text without its byte order mark; UTF-16 where the mark says so, as Windows' editors save. */
export function decodeText(bytes: Buffer, otherwise: 'utf8' | 'latin1'): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return bytes.toString('utf8', 3);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le', 2);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) {
    const even = bytes.length - (bytes.length % 2);
    return Buffer.from(bytes.subarray(2, even)).swap16().toString('utf16le');
  }
  return bytes.toString(otherwise);
}
