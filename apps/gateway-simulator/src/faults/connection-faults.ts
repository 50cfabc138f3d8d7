import type { ContentKey } from '../ledger/content-key.ts';
import type { ActiveRule, NotificationView } from './active-rule.ts';
import type { FaultBook } from './fault-book.ts';
import type { FaultRule } from './fault-schema.ts';

/** The rules that are for one connection of a gateway: what is done with single notifications, and to the connection. */
export abstract class ConnectionFaults<Rule extends FaultRule> {
  /** No rule is for this connection: the usual case, which must cost nothing. */
  isQuiet = true;
  protected readonly connection: number;
  protected withNotifications: readonly ActiveRule<Rule>[] = [];
  protected withConnection: readonly ActiveRule<Rule>[] = [];
  readonly #book: FaultBook;
  /** Rules that look at no single notification do their work on a connection once. */
  readonly #done = new WeakSet<ActiveRule>();

  /** Whoever extends it reads the book when it is ready to. */
  constructor(book: FaultBook, connection: number) {
    this.#book = book;
    this.connection = connection;
  }

  protected abstract rulesIn(book: FaultBook): readonly ActiveRule<Rule>[];
  /** Whether a rule is about what is done with a notification. */
  protected abstract isWithNotifications(rule: Rule): boolean;

  /** Reads the book again, after it has changed. */
  refresh(): void {
    const rules = this.rulesIn(this.#book);
    this.withNotifications = rules.filter(({ rule }) => this.isWithNotifications(rule));
    this.withConnection = rules.filter(({ rule }) => !this.isWithNotifications(rule));
    this.isQuiet = rules.length === 0;
  }

  has(rule: ActiveRule): boolean {
    return this.#book.rules.includes(rule);
  }

  /**
   * Of these rules, those whose turn it is to do something to the connection, counted as fired.
   * @param handled Notifications handled so far, with the one given.
   * @param notification The one just taken; undefined when the connection opens or the rules have changed.
   */
  protected fireDue(
    rules: readonly ActiveRule<Rule>[],
    handled: number,
    notification: NotificationView | undefined,
    content: ContentKey,
  ): readonly ActiveRule<Rule>[] {
    if (rules.length === 0) return rules;
    return rules.filter((active) => {
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
