import type { SendState } from './producer-api.ts';

/** Sums of outcomes, as the producer tells them of all that was sent. */
export interface Outcomes {
  readonly enqueued: number;
  readonly queued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

export function sumOutcomes(sends: Iterable<SendState>): Outcomes {
  const sum = { enqueued: 0, queued: 0, accepted: 0, rejected: 0, expired: 0, cancelled: 0, dead: 0 };
  for (const send of sends) {
    sum.enqueued += send.enqueued;
    sum.queued += send.queued;
    sum.accepted += send.accepted;
    sum.rejected += send.rejected;
    sum.expired += send.expired;
    sum.cancelled += send.cancelled;
    sum.dead += send.dead;
  }
  return sum;
}

/** What `--json` prints. */
export interface DemoResult extends Omit<Outcomes, 'queued'> {
  readonly gatewayReceivedUnique: number;
  /** Without an outcome, or accepted and yet not in the gateway's ledger. */
  readonly lost: number;
  /** What the gateway got more than once, in all. */
  readonly duplicates: number;
  /** Of these, before the worker was killed: connections had been cut, each with an error-response packet. */
  readonly duplicatesAfterErrorPackets: number;
  readonly devicesDeactivated: number;
  readonly seconds: number;
}

/** Whether every notification has exactly one outcome, and the gateway's ledger says the same. */
export function holds(result: DemoResult): boolean {
  const { enqueued, accepted, rejected, expired, cancelled, dead, gatewayReceivedUnique, lost } = result;
  return (
    lost === 0 &&
    enqueued === accepted + rejected + expired + cancelled + dead &&
    accepted === gatewayReceivedUnique &&
    result.duplicatesAfterErrorPackets === 0
  );
}
