import { setTimeout as delay } from 'node:timers/promises';
import { jitterMs, type Logger } from '@pushfleet/service-kit';
import { type AttemptResult, type TakenDelivery, TokenStoreError } from '@pushfleet/token-store';
import type { DatabaseLink } from '../database-link.ts';
import { DestinationError, type DestinationRules, resolveDestination } from './destination.ts';
import { postWebhook } from './post-webhook.ts';
import { signatureHeaders } from './sign.ts';
import { WebhookRooms } from './webhook-rooms.ts';

export type DeliveryResult = 'delivered' | 'retried' | 'failed';
export const deliveryResults = [
  'delivered',
  'retried',
  'failed',
] as const satisfies readonly DeliveryResult[];

export interface WebhookRunnerOptions {
  readonly database: DatabaseLink;
  readonly logger: Logger;
  readonly rules: DestinationRules;
  readonly onResult: (app: string, result: DeliveryResult) => void;
  /** Between looks for events and deliveries that are due, milliseconds. */
  readonly pollMs?: number;
  readonly timeoutMs?: number;
  /** Until the second attempt, the third and so on, seconds. */
  readonly retrySeconds?: readonly number[];
}

/** From five seconds to a day, three days in all: a far end may be down over a weekend. */
const usualRetrySeconds = [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/** What is under way at a stop has so long, milliseconds; what is cut off is made again by another producer. */
const stopMs = 3_000;

/**
 * Passes events on to webhooks. Events come from the outbox that they were written to together with what they tell; a
 * delivery is made until the far end takes it, in every producer, each a share. Nothing waits for a far end but its own
 * deliveries.
 */
export class WebhookRunner {
  readonly #options: WebhookRunnerOptions;
  readonly #abort = new AbortController();
  readonly #cutOff = new AbortController();
  readonly #rooms = new WebhookRooms();
  readonly #attempts = new Set<Promise<void>>();
  readonly #running: Promise<void>;

  constructor(options: WebhookRunnerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Ends after the attempts at hand, which have a few seconds. */
  async close(): Promise<void> {
    this.#abort.abort();
    const deadline = setTimeout(() => this.#cutOff.abort(), stopMs);
    await this.#running;
    await Promise.all(this.#attempts);
    clearTimeout(deadline);
  }

  async #run(): Promise<void> {
    const { database, logger, pollMs = 1_000 } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      let isBusy = false;
      try {
        if (database.state === 'ready') isBusy = await this.#runOnce();
      } catch (err) {
        const isAway = err instanceof TokenStoreError && err.isTransient;
        logger[isAway ? 'debug' : 'error']({ err }, 'webhooks rest for a moment');
      }
      // When an attempt ends there is room for another.
      if (!isBusy)
        await Promise.race([delay(pollMs, undefined, { signal }), ...this.#attempts]).catch(() => undefined);
    }
  }

  /** True: there may be more at once. */
  async #runOnce(): Promise<boolean> {
    const { database, timeoutMs = 15_000 } = this.#options;
    const { webhooks } = database.store;
    const limit = 500;
    const events = await webhooks.dispatch(limit);
    const taken = await webhooks.take({ ...this.#rooms.toTake(), leaseMs: timeoutMs * 2 + 30_000 });
    for (const delivery of taken) {
      this.#rooms.enter(delivery.webhook);
      const attempt = this.#attempt(delivery).finally(() => this.#attempts.delete(attempt));
      this.#attempts.add(attempt);
    }
    return events === limit || taken.length > 0;
  }

  async #attempt(delivery: TakenDelivery): Promise<void> {
    const startedMs = performance.now();
    const { result, isGone } = await this.#post(delivery);
    this.#rooms.leave(delivery.webhook, performance.now() - startedMs);
    try {
      await this.#settle(delivery, result, isGone);
    } catch (err) {
      // Made again when its lease is over.
      const isAway = err instanceof TokenStoreError && err.isTransient;
      this.#options.logger[isAway ? 'debug' : 'error'](
        { err },
        'the end of a delivery could not be written down',
      );
    }
  }

  async #settle(delivery: TakenDelivery, result: AttemptResult, isGone: boolean): Promise<void> {
    const { database, logger, onResult } = this.#options;
    const { webhooks } = database.store;
    const { id, webhook, app, kind, attempts } = delivery;
    if (result.state !== 'delivered') {
      const facts = { app, webhook, delivery: id, kind, attempt: attempts, status: result.status };
      logger.warn({ ...facts, reason: result.error }, 'a webhook did not accept a delivery');
    }
    await webhooks.settle(delivery, result);
    if (isGone) await webhooks.deactivate(webhook);
    onResult(app, result.state === 'pending' ? 'retried' : result.state);
  }

  async #post(delivery: TakenDelivery): Promise<{ result: AttemptResult; isGone: boolean }> {
    const { rules, timeoutMs = 15_000 } = this.#options;
    const { app, kind, payload, occurredAt, secret, url, webhook, event } = delivery;
    const body = JSON.stringify({
      type: kind,
      timestamp: occurredAt.toISOString(),
      data: { app, ...payload },
    });
    const message = {
      id: `msg_${webhook}_${event}`,
      timestampSeconds: Math.floor(Date.now() / 1000),
      body,
    };
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Pushfleet',
      ...signatureHeaders(message, secret),
    };
    try {
      const destination = await resolveDestination(url, rules);
      const status = await postWebhook({
        destination,
        headers,
        body,
        timeoutMs,
        signal: this.#cutOff.signal,
      });
      if (status >= 200 && status < 300) return { result: { state: 'delivered', status }, isGone: false };
      const error = `was answered ${status}`;
      // 410: whoever owned it does not want to hear of us again.
      if (status === 410) return { result: { state: 'failed', status, error }, isGone: true };
      return { result: this.#again(delivery, error, status), isGone: false };
    } catch (error) {
      return { result: this.#again(delivery, describe(error)), isGone: false };
    }
  }

  #again({ attempts }: TakenDelivery, error: string, status?: number): AttemptResult {
    const { retrySeconds = usualRetrySeconds } = this.#options;
    const seconds = retrySeconds[attempts - 1];
    if (seconds === undefined) return { state: 'failed', error, status };
    // Jitter, so that deliveries that failed together do not come back together.
    return { state: 'pending', retryInMs: jitterMs(seconds * 1_000, 0.2), error, status };
  }
}

function describe(error: unknown): string {
  if (error instanceof DestinationError) return error.message;
  if (!(error instanceof Error)) return 'failed';
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'did not answer in time';
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.message;
}
