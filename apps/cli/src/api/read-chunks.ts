import { createReadStream } from 'node:fs';

/** Some whole lines of a file. */
export interface Chunk {
  readonly bytes: Buffer;
  /** Line breaks in it, or one more at the end of a file without a last one. */
  readonly lines: number;
}

const lineBreak = 0x0a;
const quote = 0x22;

/** A record of CSV that is longer than some chunks has a quote too many. */
const mostChunks = 4;

export interface ReadChunksOptions {
  /** Whether line breaks within quotes are part of a line, as in CSV. */
  readonly quotes?: boolean;
}

/** The lines of a file from a byte on, about `size` bytes at a time. */
export async function* readChunks(
  path: string,
  from: number,
  size: number,
  { quotes = false }: ReadChunksOptions = {},
): AsyncGenerator<Chunk> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let isQuoted = false;
  for await (const part of createReadStream(path, { start: from, highWaterMark: 256 * 1024 })) {
    const bytes = part as Buffer;
    const ends: Ends = quotes
      ? endOfLines(bytes, isQuoted)
      : { end: bytes.lastIndexOf(lineBreak) + 1, isQuoted: false };
    const isEndless = keptBytes > mostChunks * size;
    const end = isEndless ? bytes.lastIndexOf(lineBreak) + 1 : ends.end;
    isQuoted = isEndless ? false : ends.isQuoted;
    if (end === 0 || keptBytes + end < size) {
      kept.push(bytes);
      keptBytes += bytes.length;
      continue;
    }
    yield chunkOf(Buffer.concat([...kept, bytes.subarray(0, end)]));
    kept = [bytes.subarray(end)];
    keptBytes = bytes.length - end;
  }
  const rest = Buffer.concat(kept);
  if (rest.length > 0) yield chunkOf(rest);
}

interface Ends {
  readonly end: number;
  readonly isQuoted: boolean;
}

/** Where the last line ends that is not within quotes, and whether quotes are open at the end. */
function endOfLines(bytes: Buffer, wasQuoted: boolean): Ends {
  let isQuoted = wasQuoted;
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === quote) isQuoted = !isQuoted;
    else if (bytes[at] === lineBreak && !isQuoted) end = at + 1;
  }
  return { end, isQuoted };
}

function chunkOf(bytes: Buffer): Chunk {
  let lines = 0;
  for (let at = bytes.indexOf(lineBreak); at !== -1; at = bytes.indexOf(lineBreak, at + 1)) lines += 1;
  return { bytes, lines: bytes.at(-1) === lineBreak ? lines : lines + 1 };
}

/** The first line of a file, its line break included. */
export async function readFirstLine(path: string): Promise<Buffer> {
  for await (const { bytes } of readChunks(path, 0, 1)) {
    return bytes.subarray(0, bytes.indexOf(lineBreak) + 1 || bytes.length);
  }
  return Buffer.alloc(0);
}
