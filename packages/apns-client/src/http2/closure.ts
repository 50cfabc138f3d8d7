import { TunnelError } from '../socket/dial.ts';
import { connectionEndOf } from '../socket/node-error.ts';
import type { Closure } from '../transport/connections.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import type { Http2Run } from './run.ts';

/** How a connection ended, and what is uncertain of what was in its window. */
export interface Http2Closure extends Closure<Http2Run> {
  /** Whether the gateway ever answered a request on it with something else than trouble of its own. */
  readonly hasServed: boolean;
  /** We left it, and what that says was heeded then. */
  readonly wasLeft: boolean;
}

/** Ends at which the gateway still reads, so that a GOAWAY tells it that the session is closed (`docs/protocol/http2.md#goaway`). */
export const politeEnds: ReadonlySet<ConnectionEnd> = new Set([
  'drained',
  'rotated',
  'idle',
  'goaway',
  'error-response',
  'protocol-violation',
  'stream-stalled',
  'gateway-errors',
  'foreign-answers',
]);

/** What an error of the socket means. @param isOpening The way to the gateway was not open yet. */
export function socketEndOf(error: unknown, isOpening: boolean): ConnectionEnd {
  if (error instanceof TunnelError) return error.code === 'proxy-refused' ? 'connect-failed' : 'tls-failed';
  const end = connectionEndOf(error);
  return isOpening && end !== 'tls-failed' && end !== 'credential-refused' ? 'connect-failed' : end;
}
