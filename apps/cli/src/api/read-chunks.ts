import { createReadStream } from 'node:fs';

/** Some whole lines of a file. */
export interface Chunk {
  readonly bytes: Buffer;
  /** Line breaks in it, or one more at the end of a file without a last one. */
  readonly lines: number;
}

const lineBreak = 0x0a;

/** The lines of a file from a byte on, about `size` bytes at a time. */
export async function* readChunks(path: string, from: number, size: number): AsyncGenerator<Chunk> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  for await (const part of createReadStream(path, { start: from, highWaterMark: 256 * 1024 })) {
    const bytes = part as Buffer;
    const end = bytes.lastIndexOf(lineBreak) + 1;
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
