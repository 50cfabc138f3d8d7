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

/**
 * Reads a body whole. Rejects with Problem `body-too-large`, `backpressure` or `request-timeout` before its end: what
 * is left of it is not read. Rejects with the error of the stream when the client goes away.
 */
export function readBody(source: Readable, options: ReadBodyOptions): Promise<Buffer> {
  const { limit, share, timeoutMs } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
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
    else if (share.take(chunk.length)) chunks.push(chunk);
    else fail(new Problem('backpressure', 'there is no room for the body beside those that are under way'));
  };
  const finish = () => {
    end();
    resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes));
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
