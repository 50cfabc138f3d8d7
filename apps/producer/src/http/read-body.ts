import type { Readable } from 'node:stream';
import type { BodyShare } from './body-budget.ts';
import { Problem } from './problem.ts';

export interface ReadBodyOptions {
  /** Longest body, bytes. */
  readonly limit: number;
  /** Counts what has come. */
  readonly share: BodyShare;
  /** For the whole body, milliseconds. */
  readonly timeoutMs: number;
}

/** So many pieces of a body that are smaller than this in all, bytes, are joined. */
const maxLoose = 64;
const largeBytes = 64 * 1024;

/**
 * Reads a body, and gives it in the pieces that came, small ones joined. Rejects with Problem `body-too-large`,
 * `backpressure` or `request-timeout` before its end: what is left of it is not read. Rejects with the error of the
 * stream when the client goes away.
 */
export function readBody(source: Readable, options: ReadBodyOptions): Promise<readonly Buffer[]> {
  const { limit, share, timeoutMs } = options;
  const { promise, resolve, reject } = Promise.withResolvers<readonly Buffer[]>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  /** Of `chunks` the first that are joined, or large enough. */
  let joined = 0;
  let bytesSince = 0;
  const end = () => {
    clearTimeout(timer);
    source.off('data', take).off('end', finish).off('close', abandon);
  };
  const fail = (error: Error) => {
    end();
    source.pause();
    reject(error);
  };
  const take = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limit) fail(tooLarge(limit));
    else if (share.take(chunk.length)) keep(chunk);
    else fail(new Problem('backpressure', 'there is no room for the body beside those that are under way'));
  };
  const keep = (chunk: Buffer) => {
    chunks.push(chunk);
    bytesSince += chunk.length;
    if (chunks.length - joined < maxLoose && bytesSince < largeBytes) return;
    // A buffer of one byte takes a hundred times its length.
    if (bytesSince < largeBytes) chunks.push(Buffer.concat(chunks.splice(joined), bytesSince));
    joined = chunks.length;
    bytesSince = 0;
  };
  const finish = () => {
    end();
    resolve(chunks);
  };
  const abandon = () =>
    fail(Object.assign(new Error('the body ended early'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }));
  const timer = setTimeout(() => {
    fail(new Problem('request-timeout', `the body did not come whole within ${timeoutMs / 1_000} seconds`));
  }, timeoutMs);
  // An error of a source that was given up is of no more interest.
  source.on('data', take).once('end', finish).once('close', abandon).on('error', fail);
  return promise;
}

export function tooLarge(limit: number): Problem {
  return new Problem('body-too-large', `the body is longer than ${limit} bytes`);
}
