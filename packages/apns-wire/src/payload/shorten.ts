const ellipsis = '…';
const ellipsisBytes = 3;

let graphemes: Intl.Segmenter | undefined;

/**
 * Shortens text by at least `excess` bytes, measured as UTF-8 inside a JSON string, the ellipsis at its end counted.
 * Cuts between graphemes (what a reader takes for one character), never inside one, and drops white space before the
 * ellipsis. Undefined when not even one grapheme could stay.
 */
export function shortenText(text: string, excess: number): string | undefined {
  const room = jsonTextBytes(text) - excess - ellipsisBytes;
  const limit = longestPrefix(text, room);
  graphemes ??= new Intl.Segmenter('und', { granularity: 'grapheme' });
  // Whether a grapheme begins at a place depends on what stands before it and the one character after it, so that
  // two code units beyond the limit are enough to look at.
  const boundary = graphemes.segment(text.slice(0, limit + 2)).containing(limit)?.index ?? 0;
  const kept = text.slice(0, boundary).trimEnd();
  return kept === '' ? undefined : kept + ellipsis;
}

/** How many code units of the text fit in `room` bytes. */
function longestPrefix(text: string, room: number): number {
  let bytes = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.codePointAt(at)!;
    bytes += jsonCharacterBytes(code);
    if (bytes > room) break;
    at += code > 0xffff ? 2 : 1;
  }
  return at;
}

function jsonTextBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** Bytes of a character in a string that JSON.stringify wrote, in UTF-8. */
function jsonCharacterBytes(code: number): number {
  if (code < 0x20) return '\b\t\n\f\r'.includes(String.fromCharCode(code)) ? 2 : 6;
  if (code === 0x22 || code === 0x5c) return 2;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x1_0000 ? 3 : 4;
}
