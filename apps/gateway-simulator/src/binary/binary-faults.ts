import type { ActiveRule, NotificationView } from '../faults/active-rule.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { BinaryAction, BinaryRule } from '../faults/fault-schema.ts';
import type { ContentKey } from '../ledger/content-key.ts';

export type RejectAction = Extract<BinaryAction, { kind: 'reject' }>;

/** The rules that are for one connection of the binary gateway. */
export class BinaryFaults {
  readonly #book: FaultBook;
  readonly #connection: number;
  readonly #app: string;
  #rejecting: readonly ActiveRule<BinaryRule>[] = [];
  #disrupting: readonly ActiveRule<BinaryRule>[] = [];
  /** Rules that look at no single notification do their work on a connection once. */
  readonly #done = new WeakSet<ActiveRule>();

  constructor(book: FaultBook, connection: number, app: string) {
    this.#book = book;
    this.#connection = connection;
    this.#app = app;
    this.refresh();
  }

  /** No rule is for this connection: the usual case, which must cost nothing. */
  isQuiet = true;

  /** Reads the book again, after it has changed. */
  refresh(): void {
    const rules = this.#book.forConnection('binary', this.#connection, this.#app);
    this.#rejecting = rules.filter(({ rule }) => rule.action.kind === 'reject');
    this.#disrupting = rules.filter(({ rule }) => rule.action.kind !== 'reject');
    this.isQuiet = rules.length === 0;
  }

  has(rule: ActiveRule): boolean {
    return this.#book.rules.includes(rule);
  }

  /** The first rule that rejects this notification, counted as fired. */
  rejection(handled: number, notification: NotificationView, content: ContentKey): RejectAction | undefined {
    for (const active of this.#rejecting) {
      const { action } = active.rule;
      if (action.kind !== 'reject' || !active.chooses(handled, notification, content)) continue;
      active.fire();
      return action;
    }
    return undefined;
  }

  /**
   * The rules whose turn it is to disrupt the connection, counted as fired.
   * @param handled Notifications handled so far, with the one given.
   * @param notification The one just taken; undefined when the connection opens or the rules have changed.
   */
  disruptions(
    handled: number,
    notification: NotificationView | undefined,
    content: ContentKey,
  ): readonly ActiveRule<BinaryRule>[] {
    if (this.#disrupting.length === 0) return this.#disrupting;
    return this.#disrupting.filter((active) => {
      if (active.choosesNotifications) {
        if (notification === undefined || !active.chooses(handled, notification, content)) return false;
      } else {
        if (this.#done.has(active) || !active.isDue(handled)) return false;
        this.#done.add(active);
      }
      active.fire();
      return true;
    });
  }
}
