/** Deliveries under way at once. */
const maxUnderWay = 256;
/** The part of them that slow webhooks may take together, so that there is always room for the others. */
const maxSlow = 128;
/** Deliveries under way at once of a webhook; of one that is slow, one. */
const perWebhook = 4;
/** A webhook that took longer for its last answer is slow, milliseconds. */
const slowMs = 2_000;

/** How many deliveries each webhook may have under way at this producer, so that none takes the room of another. */
export class WebhookRooms {
  readonly #underWay = new Map<string, number>();
  readonly #slow = new Set<string>();
  #count = 0;

  /** What may be taken now. `rooms`: of webhooks that have less room than `perWebhook`. */
  toTake(): { perWebhook: number; rooms: Map<string, number>; limit: number } {
    const rooms = new Map<string, number>();
    for (const [webhook, count] of this.#underWay) rooms.set(webhook, Math.max(0, perWebhook - count));
    let room = maxSlow;
    for (const webhook of this.#slow) room -= this.#underWay.get(webhook) ?? 0;
    for (const webhook of [...this.#slow]) {
      const isFree = room > 0 && !this.#underWay.has(webhook);
      rooms.set(webhook, isFree ? 1 : 0);
      if (isFree) {
        room -= 1;
        // Asked last the next time.
        this.#slow.delete(webhook);
        this.#slow.add(webhook);
      }
    }
    return { perWebhook, rooms, limit: maxUnderWay - this.#count };
  }

  enter(webhook: string): void {
    this.#count += 1;
    this.#underWay.set(webhook, (this.#underWay.get(webhook) ?? 0) + 1);
  }

  /** @param tookMs Until its answer, or until it was given up. */
  leave(webhook: string, tookMs: number): void {
    this.#count -= 1;
    const left = (this.#underWay.get(webhook) ?? 1) - 1;
    if (left === 0) this.#underWay.delete(webhook);
    else this.#underWay.set(webhook, left);
    if (tookMs > slowMs) this.#slow.add(webhook);
    else this.#slow.delete(webhook);
  }
}
