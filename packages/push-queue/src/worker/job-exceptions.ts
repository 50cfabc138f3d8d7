import { type GatewayAnswer, tokenEvidence } from '@pushfleet/apns-wire/answer';
import { tokenHex } from '../push-job/columns.ts';
import type { DecodedPushJob } from '../push-job/decode.ts';
import type { OutcomeException } from '../push-job/report.ts';

/** Why a notification ended, or has to be tried again: what the gateway said, or a reason of ours. */
export type EndCause = Pick<GatewayAnswer, 'reason'> & Partial<GatewayAnswer>;

/** The notifications of one push job that were not simply accepted, as its report names them. */
export class JobExceptions {
  readonly #job: DecodedPushJob;
  #all: OutcomeException[];
  #withholdsEvidence = false;

  /** @param known By a worker that crashed or stopped, or from an earlier try. */
  constructor(job: DecodedPushJob, known: readonly OutcomeException[]) {
    this.#job = job;
    this.#all = [...known];
  }

  get all(): OutcomeException[] {
    return this.#all;
  }

  add(place: number, outcome: OutcomeException['outcome'], answer: EndCause, atMs: number): void {
    const exception: OutcomeException = {
      index: this.#job.indexes[place]!,
      token: tokenHex(this.#job, place),
      outcome,
      reason: answer.reason,
      ...(answer.status === undefined ? {} : { status: answer.status }),
      ...(answer.tokenInvalid === true ? { tokenInvalid: true } : {}),
      ...(answer.unregisteredAtMs === undefined ? {} : { unregisteredAtMs: answer.unregisteredAtMs }),
      atMs,
    };
    this.#all.push(this.#withholdsEvidence ? withoutEvidence(exception) : exception);
  }

  /** How many there are of each outcome. */
  count(): Record<OutcomeException['outcome'], number> {
    const counts = { rejected: 0, expired: 0, cancelled: 0, dead: 0 };
    for (const { outcome } of this.#all) counts[outcome]++;
    return counts;
  }

  /** From now on, and for what is here already, the gateway's word about tokens is not held against devices. */
  withholdEvidence(): void {
    this.#withholdsEvidence = true;
    this.#all = this.#all.map(withoutEvidence);
  }

  /** Places that ended as dead, ascending. */
  deadPlaces(): Uint16Array {
    const { indexes, count } = this.#job;
    const dead = new Set<number>();
    for (const { outcome, index } of this.#all) if (outcome === 'dead') dead.add(index);
    const places: number[] = [];
    for (let place = 0; place < count; place++) if (dead.has(indexes[place]!)) places.push(place);
    return Uint16Array.from(places);
  }
}

function withoutEvidence(exception: OutcomeException): OutcomeException {
  return tokenEvidence(exception) === 'invalid-token' ? { ...exception, tokenInvalid: false } : exception;
}
