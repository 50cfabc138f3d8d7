import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';
import { type Certainty, type ConnectionEnd, connectionEnds, type Verdict } from './transport.ts';

// The verdicts, made once: to settle a range allocates nothing. Those with an answer are made with the answer.

export const acceptedAs: Readonly<Record<Certainty, Verdict>> = {
  proved: { kind: 'accepted', certainty: 'proved' },
  presumed: { kind: 'accepted', certainty: 'presumed' },
};
export const expired: Verdict = { kind: 'expired' };
export const unprocessed: Verdict = { kind: 'unprocessed' };

export const uncertainBy = Object.fromEntries(
  connectionEnds.map((cause) => [cause, { kind: 'uncertain', cause }]),
) as Readonly<Record<ConnectionEnd, Verdict>>;

export function rejectedBy(answer: GatewayAnswer): Verdict {
  return { kind: 'rejected', answer };
}

export function retryableBy(answer: GatewayAnswer): Verdict {
  return { kind: 'retryable', answer };
}
