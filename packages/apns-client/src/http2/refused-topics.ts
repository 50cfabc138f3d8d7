import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';

interface Refusal {
  readonly answer: GatewayAnswer;
  readonly untilMs: number;
}

/**
 * Topics of single push types that the gateway refuses, such as `com.example.shop.voip` where a key covers the bundle
 * id alone. Their notifications go back to the worker and the rest of the app goes on. Every so often the next
 * notification of such a topic is written, and so asks whether it is still refused.
 */
export class RefusedTopics {
  readonly #askEveryMs: number;
  readonly #refusals = new Map<string, Refusal>();

  constructor(askEveryMs: number) {
    this.#askEveryMs = askEveryMs;
  }

  get size(): number {
    return this.#refusals.size;
  }

  /** Notes that the gateway refuses the topic. Returns what its notifications are answered with. */
  refuse(topic: string, answer: GatewayAnswer, nowMs: number): GatewayAnswer {
    const reason = `${answer.reason} (${topic})`;
    const retryAfterMs = Math.max(answer.retryAfterMs ?? 0, this.#askEveryMs);
    const refusal: GatewayAnswer = { ...answer, reason, fault: 'gateway', retryAfterMs };
    this.#refusals.set(topic, { answer: refusal, untilMs: nowMs + this.#askEveryMs });
    return refusal;
  }

  /** Notes that the gateway takes the topic: it decided about a notification of it. */
  allow(topic: string): void {
    this.#refusals.delete(topic);
  }

  /** What the gateway would answer; undefined: it has to be asked. */
  answerFor(topic: string, nowMs: number): GatewayAnswer | undefined {
    const refusal = this.#refusals.get(topic);
    return refusal === undefined || refusal.untilMs <= nowMs ? undefined : refusal.answer;
  }
}
