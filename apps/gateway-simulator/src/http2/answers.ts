import { randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { headerOf, type PushRequest } from './push-request.ts';

/** An answer other than 200. */
export interface Rejection {
  readonly status: number;
  readonly reason?: string | undefined;
  /** Epoch milliseconds. */
  readonly timestamp?: number | undefined;
  /** Seconds, or an HTTP date. */
  readonly retryAfter?: number | string | undefined;
  /** Instead of the JSON with reason and timestamp. */
  readonly body?: string | undefined;
}

/** Whether an answer can still be given: the client may have reset the stream, or the connection may be gone. */
export function canAnswer(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed && stream.session?.destroyed === false;
}

export function answerTaken(stream: ServerHttp2Stream, request: PushRequest): void {
  stream.respond({ ':status': 200, 'apns-id': apnsIdOf(request) }, { endStream: true });
}

export function answerRejected(
  stream: ServerHttp2Stream,
  request: PushRequest,
  { status, reason, timestamp, retryAfter, body }: Rejection,
): void {
  stream.respond({
    ':status': status,
    'apns-id': apnsIdOf(request),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  });
  stream.end(body ?? (reason === undefined ? '' : JSON.stringify({ reason, timestamp })));
}

function apnsIdOf({ headers }: PushRequest): string {
  return headerOf(headers, 'apns-id') ?? randomUUID();
}
