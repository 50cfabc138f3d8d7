import type { ActiveRule, NotificationView } from '../faults/active-rule.ts';
import { ConnectionFaults } from '../faults/connection-faults.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { Http2Action, Http2Rule } from '../faults/fault-schema.ts';
import type { ContentKey } from '../ledger/content-key.ts';

/** What is done with one notification instead of taking it. */
export type AnswerAction = Extract<
  Http2Action,
  { kind: 'respond' | 'delay' | 'hang' | 'resetStream' | 'malformed' }
>;

/** The rules that are for one connection of the HTTP/2 gateway, which serves any number of apps. */
export class Http2Faults extends ConnectionFaults<Http2Rule> {
  constructor(book: FaultBook, connection: number) {
    super(book, connection);
    this.refresh();
  }

  /** The first rule that is for this notification, counted as fired. */
  answer(
    handled: number,
    app: string,
    notification: NotificationView,
    content: ContentKey,
  ): AnswerAction | undefined {
    for (const active of this.withNotifications) {
      const { action } = active.rule;
      if (!isAnswer(action) || !active.appliesTo(this.connection, app)) continue;
      if (!active.chooses(handled, notification, content)) continue;
      active.fire();
      return action;
    }
    return undefined;
  }

  /**
   * The rules whose turn it is to do something to the connection, counted as fired.
   * @param app Of the notification that has just come; undefined when the connection opens or the rules have changed.
   */
  disruptions(
    handled: number,
    app: string | undefined,
    notification: NotificationView | undefined,
    content: ContentKey,
  ): readonly ActiveRule<Http2Rule>[] {
    if (this.withConnection.length === 0) return this.withConnection;
    const rules = this.withConnection.filter(
      (active) => active.rule.action.kind !== 'dropPings' && active.appliesTo(this.connection, app),
    );
    return this.fireDue(rules, handled, notification, content);
  }

  /** Whether the PING that has just come is to be dropped; counted as fired. */
  dropsPing(handled: number): boolean {
    const rule = this.withConnection.find(
      (active) => active.rule.action.kind === 'dropPings' && active.isDue(handled),
    );
    rule?.fire();
    return rule !== undefined;
  }

  protected override rulesIn(book: FaultBook): readonly ActiveRule<Http2Rule>[] {
    return book.forPort('http2').filter((active) => active.isForConnection(this.connection));
  }

  protected override isWithNotifications({ action }: Http2Rule): boolean {
    return isAnswer(action);
  }
}

function isAnswer(action: Http2Action): action is AnswerAction {
  switch (action.kind) {
    case 'respond':
    case 'delay':
    case 'hang':
    case 'resetStream':
    case 'malformed':
      return true;
    default:
      return false;
  }
}
