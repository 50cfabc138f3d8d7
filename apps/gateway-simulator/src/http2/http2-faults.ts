import type { ActiveRule, NotificationView } from '../faults/active-rule.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { Http2Action, Http2Rule } from '../faults/fault-schema.ts';
import type { ContentKey } from '../ledger/content-key.ts';

/** What is done with one notification instead of taking it. */
export type AnswerAction = Extract<Http2Action, { kind: 'respond' | 'delay' | 'hang' | 'resetStream' }>;

/** The rules that are for one connection of the HTTP/2 gateway, which serves any number of apps. */
export class Http2Faults {
  readonly #book: FaultBook;
  readonly #connection: number;
  #answering: readonly ActiveRule<Http2Rule>[] = [];
  #disrupting: readonly ActiveRule<Http2Rule>[] = [];
  /** Rules that look at no single notification do their work on a connection once. */
  readonly #done = new WeakSet<ActiveRule>();

  constructor(book: FaultBook, connection: number) {
    this.#book = book;
    this.#connection = connection;
    this.refresh();
  }

  /** No rule is for this connection: the usual case, which must cost nothing. */
  isQuiet = true;

  /** Reads the book again, after it has changed. */
  refresh(): void {
    const rules = this.#book
      .forPort('http2')
      .filter(
        ({ rule: { match } }) => match.connection === undefined || match.connection === this.#connection,
      );
    this.#answering = rules.filter(({ rule }) => isAnswer(rule.action));
    this.#disrupting = rules.filter(({ rule }) => !isAnswer(rule.action));
    this.isQuiet = rules.length === 0;
  }

  /** The first rule that is for this notification, counted as fired. */
  answer(
    handled: number,
    app: string,
    notification: NotificationView,
    content: ContentKey,
  ): AnswerAction | undefined {
    for (const active of this.#answering) {
      const { action } = active.rule;
      if (!isAnswer(action) || !active.appliesTo(this.#connection, app)) continue;
      if (!active.chooses(handled, notification, content)) continue;
      active.fire();
      return action;
    }
    return undefined;
  }

  /**
   * The rules whose turn it is to do something to the connection, counted as fired.
   * @param handled Notifications that have come so far, with the one given.
   * @param app Of the notification that has just come; undefined when the connection opens or the rules have changed.
   */
  disruptions(
    handled: number,
    app: string | undefined,
    notification: NotificationView | undefined,
    content: ContentKey,
  ): readonly ActiveRule<Http2Rule>[] {
    if (this.#disrupting.length === 0) return this.#disrupting;
    return this.#disrupting.filter((active) => {
      if (active.rule.action.kind === 'dropPings' || !active.appliesTo(this.#connection, app)) return false;
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

  has(rule: ActiveRule): boolean {
    return this.#book.rules.includes(rule);
  }

  /** Whether the PING that has just come is to be dropped; counted as fired. */
  dropsPing(handled: number): boolean {
    const rule = this.#disrupting.find(
      (active) => active.rule.action.kind === 'dropPings' && active.isDue(handled),
    );
    rule?.fire();
    return rule !== undefined;
  }
}

function isAnswer(action: Http2Action): action is AnswerAction {
  switch (action.kind) {
    case 'respond':
    case 'delay':
    case 'hang':
    case 'resetStream':
      return true;
    default:
      return false;
  }
}
