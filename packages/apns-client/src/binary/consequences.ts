import { ErrorStatus, type NotificationCommand } from '@pushfleet/apns-wire';
import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';
import { countOf, type Span } from '../transport/span.ts';
import type { TransportObserver } from '../transport/transport.ts';
import { acceptedAs, rejectedBy, retryableBy, uncertainBy } from '../transport/verdicts.ts';
import type { DoubtDecision } from './after-doubt.ts';
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
 * @param decision What becomes of the frames in doubt; undefined: they are given back.
 */
export function settleClosure(
  { answer, named, proved, uncertain, end }: BinaryClosure,
  decision: DoubtDecision | undefined,
  command: NotificationCommand,
): void {
  for (const { run, from, to } of proved) run.settled(from, to, acceptedAs.proved);
  if (named !== undefined && answer !== undefined) {
    const { run, from, to } = named;
    if (answer.meaning === 'accepted') run.settled(from, to, acceptedAs.proved);
    else if (answer.meaning === 'rejected') run.settled(from, to, rejectedBy(gatewayAnswer(answer.status)));
    else if (answer.meaning === 'retryable') run.settled(from, to, retryableBy(gatewayAnswer(answer.status)));
  }
  for (const { run, from, to } of uncertain) {
    if (decision === undefined) run.settled(from, to, uncertainBy[end]);
    else if (decision.kind !== 'offender') run.resent(from, to, end);
    // Command 0 has no packets: to be cut off is its only answer to a bad token.
    else if (command === 0) run.settled(from, to, rejectedBy(connectionCut));
    else run.settled(from, to, retryableBy(connectionCut));
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
 * @param decision What becomes of the frames in doubt, where the transport sends them again.
 * @param isCutOff No other connection is open.
 */
export function judgeEnd(
  gate: BinaryGate,
  nowMs: number,
  { end, detail, answer, livedMs, wasSilent }: BinaryClosure,
  decision: DoubtDecision | undefined,
  isCutOff: boolean,
): void {
  if (decision?.kind === 'nothing-passes') gate.pauseUntil(nowMs, decision.reason, nowMs + decision.pauseMs);
  // How often that may follow in a row is limited by what is in doubt.
  else if (decision !== undefined) gate.failed(nowMs, detail, Number.POSITIVE_INFINITY);
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
