/** Bytes of one write: large enough that the cost per write vanishes, small enough to stay in the cache. */
const chunkLength = 128 * 1024;

/** How many unused chunks are kept: 8 MiB at most, shared by all connections of the process. */
const kept = 64;

const free: Buffer[] = [];

/** Buffers for writing, used again once the socket has taken their bytes. */
export const ChunkPool = {
  take(): Buffer {
    return free.pop() ?? Buffer.allocUnsafeSlow(chunkLength);
  },
  give(chunk: Buffer): void {
    if (free.length < kept) free.push(chunk);
  },
};
