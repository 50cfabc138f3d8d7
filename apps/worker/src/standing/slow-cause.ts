import type { ConnectionEnd } from '@pushfleet/apns-client';
import type { SlowCause } from '@pushfleet/push-queue';

const timeouts: ReadonlySet<ConnectionEnd> = new Set([
  'write-stalled',
  'proof-timeout',
  'ping-timeout',
  'stream-stalled',
]);
const answers: ReadonlySet<ConnectionEnd> = new Set(['error-response', 'gateway-errors', 'foreign-answers']);
/** Ends that the worker itself chooses. */
const ours: ReadonlySet<ConnectionEnd> = new Set(['rotated', 'idle', 'drained']);

/** What the end of a connection under a notification says of the gateway; undefined: nothing. */
export function slowCauseOf(end: ConnectionEnd): SlowCause | undefined {
  if (ours.has(end)) return undefined;
  if (timeouts.has(end)) return 'timeouts';
  return answers.has(end) ? 'answers' : 'resets';
}
