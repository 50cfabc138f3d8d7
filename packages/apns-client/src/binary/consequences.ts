import { ErrorStatus, type NotificationCommand } from '@pushfleet/apns-wire';
import { countOf, type Span } from '../transport/span.ts';
import type { GatewayAnswer, TransportObserver } from '../transport/transport.ts';
import type { DoubtVerdict } from './after-doubt.ts';
import type { BinaryClosure } from './closure.ts';
import type { BinaryGate } from './gate.ts';
import { gatewayAnswer } from './status-policy.ts';

// What follows from the end of a connection: for what it carried, and for the next ones.

/** What is to be sent again, in order: the named frame, where nothing is wrong with it, and all that came after it. */
export function replayOf({ answer, named, unprocessed }: BinaryClosure): readonly Span[] {
  const namedToo =
    named !== undefined && (answer?.meaning === 'unprocessed' || answer?.meaning === 'credential');
  return namedToo ? [named, ...unprocessed] : unprocessed;
}

/**
 * Settles what an ended connection has decided.
 * @param verdict What becomes of the frames in doubt; undefined: they are given back.
 */
export function settleClosure(
  { answer, named, proved, uncertain, end }: BinaryClosure,
  verdict: DoubtVerdict | undefined,
  command: NotificationCommand,
): void {
  for (const { run, from, to } of proved) run.accepted(from, to, 'proved');
  if (named !== undefined && answer !== undefined) {
    const { run, from, to } = named;
    if (answer.meaning === 'accepted') run.accepted(from, to, 'proved');
    else if (answer.meaning === 'rejected') run.rejected(from, gatewayAnswer(answer.status));
    else if (answer.meaning === 'retryable') run.retryable(from, gatewayAnswer(answer.status));
  }
  for (const { run, from, to } of uncertain) {
    if (verdict === undefined) run.uncertain(from, to, end);
    else if (verdict.kind !== 'offender') run.resent(from, to, end);
    // Command 0 has no packets: to be cut off is its only answer to a bad token.
    else if (command === 0) run.rejected(from, connectionCut);
    else run.retryable(from, connectionCut);
  }
}

/** The gateway hangs up on this notification and not on others, without a word. */
const connectionCut: GatewayAnswer = {
  reason: 'connection-cut',
  status: ErrorStatus.none,
  fault: 'notification',
  tokenInvalid: false,
};

/**
 * Tells the gate what an ended connection says of the gateway and of our credential.
 * @param verdict What becomes of the frames in doubt, where the transport sends them again.
 * @param isCutOff No other connection is open.
 */
export function judgeEnd(
  gate: BinaryGate,
  nowMs: number,
  { end, detail, answer, livedMs, wasSilent }: BinaryClosure,
  verdict: DoubtVerdict | undefined,
  isCutOff: boolean,
): void {
  if (verdict?.kind === 'nothing-passes') gate.pauseUntil(nowMs, verdict.reason, nowMs + verdict.pauseMs);
  // How often that may follow in a row is limited by what is in doubt.
  else if (verdict !== undefined) gate.failed(nowMs, detail, Number.POSITIVE_INFINITY);
  else if (answer?.meaning === 'credential')
    gate.refused(nowMs, gatewayAnswer(answer.status).reason, 'topic');
  else if (answer?.understood === true) gate.answered();
  else if (end === 'drained' || end === 'rotated' || end === 'idle') gate.abandoned();
  else if (end === 'credential-refused') gate.refused(nowMs, detail);
  else if (end === 'tls-failed' || end === 'connect-failed') gate.unreachable(nowMs, detail, isCutOff);
  else if (wasSilent)
    gate.unreachable(
      nowMs,
      `right after the handshake (the other environment's certificate?): ${detail}`,
      isCutOff,
    );
  // It lived until we gave it up: that is no sign of a good gateway.
  else gate.failed(nowMs, detail, end === 'proof-timeout' ? 0 : livedMs);
}

/** Tells the observer how a connection ended. */
export function announceEnd(
  observer: Required<TransportObserver>,
  id: string,
  closure: BinaryClosure,
  replayed: readonly Span[],
): void {
  const { answer, end, livedMs, uncertain, unconfirmed } = closure;
  observer.connectionClosed(id, end, livedMs);
  // The answer to our own known-bad frame is no error.
  if (answer !== undefined && end === 'error-response') {
    const { status, wronglyPresumed } = answer;
    observer.errorResponse(id, status);
    if (wronglyPresumed > 0) observer.lateErrorResponse(id, status, wronglyPresumed);
  }
  if (replayed.length > 0) observer.replayed(countOf(replayed));
  if (unconfirmed > 0) observer.unconfirmed(id, unconfirmed);
  if (uncertain.length > 0) observer.uncertain(countOf(uncertain), end);
}
