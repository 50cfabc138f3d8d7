import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Redis } from 'ioredis';
import { CliError } from '../cli-error.ts';

// Redis' own snapshot (RDB), as a replica gets it: of one moment, and without a look at the server's disk. The protocol is
// that of Redis' replication: PSYNC is answered with a line, then `$` and either a length or, where the server does not
// know it beforehand, a mark of 40 bytes that stands at the end.

/** The server forks within this time, also where it waits for more replicas first, milliseconds. */
const beginTimeoutMs = 60_000;
const markLength = 40;

/**
 * Writes the snapshot of one node.
 * @param onBegun The server has forked: what changes from now on is not in the snapshot.
 * @returns Bytes.
 * @throws CliError `redis-unavailable`
 */
export async function saveSnapshot(node: Redis, path: string, onBegun: () => void): Promise<number> {
  const socket = openSocket(node);
  const output = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  try {
    await once(output, 'open');
    const { username, password } = node.options;
    const ask = () => void socket.write(command('PSYNC', '?', '-1'));
    // One after the other: PSYNC is refused while an answer is on its way.
    if (password) socket.write(command('AUTH', ...(username ? [username] : []), password));
    else ask();
    const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const { rest, length, mark } = await readHeader(chunks, { onLetIn: ask, onBegun });
    return await readBody({ chunks, rest, length, mark, write: async (bytes) => writeAll(output, bytes) });
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const { message } = cause as Error;
    throw new CliError('redis-unavailable', `Redis gives no snapshot: ${message}`, { cause });
  } finally {
    socket.destroy();
    output.end();
    await once(output, 'close').catch(() => undefined);
  }
}

/** Where a node is: of sentinels, where they have led the connection. */
export function addressOf({ options, stream }: Redis): { readonly host: string; readonly port: number } {
  const { sentinels, host = '127.0.0.1', port = 6379 } = options;
  if (sentinels === undefined || sentinels === null) return { host, port };
  const socket = stream as Socket;
  return { host: socket.remoteAddress ?? host, port: socket.remotePort ?? port };
}

function openSocket(node: Redis): Socket {
  const { host, port } = addressOf(node);
  const { tls } = node.options;
  const socket = tls === undefined ? connectPlain(port, host) : connectTls({ host, port, ...tls });
  socket.setTimeout(beginTimeoutMs, () => socket.destroy(new Error('it did not answer in time')));
  return socket;
}

function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

interface Header {
  readonly rest: Buffer;
  readonly length: number | undefined;
  readonly mark: Buffer | undefined;
}

async function readHeader(
  chunks: AsyncIterator<Buffer>,
  { onLetIn, onBegun }: { readonly onLetIn: () => void; readonly onBegun: () => void },
): Promise<Header> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    for (let end = bytes.indexOf('\n'); end >= 0; end = bytes.indexOf('\n')) {
      const line = bytes.subarray(0, end).toString('latin1').trim();
      bytes = bytes.subarray(end + 1);
      if (line.startsWith('-')) {
        const rights = /NOPERM/.test(line) ? ' (the user needs the right +psync)' : '';
        const advice =
          'Where it is run by others, take their snapshot, and back up Postgres alone: --no-redis';
        throw new CliError(
          'redis-unavailable',
          `Redis gives no snapshot: ${line.slice(1)}${rights}. ${advice}`,
        );
      }
      // To those that do not ask for it by the socket alone (REPLCONF capa eof), it is said after the fork.
      if (line.startsWith('+FULLRESYNC')) onBegun();
      if (line === '+OK') onLetIn();
      const [, mark, length] = /^\$(?:EOF:(.{40})|(\d+))$/.exec(line) ?? [];
      if (mark !== undefined) return { rest: bytes, mark: Buffer.from(mark, 'latin1'), length: undefined };
      if (length !== undefined) return { rest: bytes, mark: undefined, length: Number(length) };
    }
    const { value, done } = await chunks.next();
    if (done === true) throw new Error('the connection was closed');
    bytes = Buffer.concat([bytes, value]);
  }
}

async function readBody({
  chunks,
  rest,
  length,
  mark,
  write,
}: Header & {
  readonly chunks: AsyncIterator<Buffer>;
  readonly write: (bytes: Buffer) => Promise<void>;
}): Promise<number> {
  let total = 0;
  let pending = rest;
  for (;;) {
    if (length !== undefined && total + pending.length >= length) {
      await write(pending.subarray(0, length - total));
      return length;
    }
    if (mark !== undefined && pending.length >= markLength && pending.subarray(-markLength).equals(mark)) {
      const last = pending.subarray(0, -markLength);
      await write(last);
      return total + last.length;
    }
    // The end may hold a part of the mark.
    const sure = mark === undefined ? pending.length : Math.max(0, pending.length - markLength);
    await write(pending.subarray(0, sure));
    total += sure;
    pending = pending.subarray(sure);
    const { value, done } = await chunks.next();
    if (done === true) throw new Error('the connection was closed in the middle of it');
    pending = pending.length === 0 ? value : Buffer.concat([pending, value]);
  }
}

async function writeAll(output: NodeJS.WritableStream, bytes: Buffer): Promise<void> {
  if (bytes.length > 0 && !output.write(bytes)) await once(output, 'drain');
}
