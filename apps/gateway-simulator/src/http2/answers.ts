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
  /** More headers, or others. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
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
  { status, reason, timestamp, retryAfter, body, headers }: Rejection,
): void {
  // What is not Apple's, as a proxy's answer, knows nothing of the notification.
  const isApples = reason !== undefined && body === undefined;
  stream.respond({
    ':status': status,
    ...(isApples ? { 'apns-id': apnsIdOf(request) } : {}),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    ...headers,
  });
  // A status without a body, such as 204, has ended the stream already.
  if (stream.writableEnded) return;
  stream.end(body ?? (reason === undefined ? '' : JSON.stringify({ reason, timestamp })));
}

function apnsIdOf({ headers }: PushRequest): string {
  return headerOf(headers, 'apns-id') ?? randomUUID();
}
