import { Problem } from '../http/problem.ts';
import type { Grant } from './grant.ts';
import { RateLimiter } from './rate-limiter.ts';

/** Notifications a second that a key may send at this producer. */
export class NotificationRates {
  readonly #limiter = new RateLimiter();
  readonly #limit: number;

  /** @param limit 0: any number. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws Problem `rate-limited` */
  take({ keyId }: Grant, notifications: number): void {
    if (this.#limit === 0) return;
    const now = performance.now();
    const { isAllowed, resetSeconds } = this.#limiter.take(`key ${keyId}`, this.#limit, now, notifications);
    if (isAllowed) return;
    throw new Problem('rate-limited', `${this.#limit} notifications a second may be sent here`, {
      retryAfterSeconds: Math.max(1, resetSeconds),
    });
  }
}

/** Notifications that a body asks for, before it is checked; a user is one. */
export function notificationsIn(body: object): number {
  const { notifications } = body as { notifications?: unknown };
  return Array.isArray(notifications) ? notifications.length : 1;
}
