import type { ActiveRule, NotificationView } from '../faults/active-rule.ts';
import { ConnectionFaults } from '../faults/connection-faults.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { BinaryAction, BinaryRule } from '../faults/fault-schema.ts';
import type { ContentKey } from '../ledger/content-key.ts';

export type RejectAction = Extract<BinaryAction, { kind: 'reject' }>;

/** The rules that are for one connection of the binary gateway. */
export class BinaryFaults extends ConnectionFaults<BinaryRule> {
  readonly #app: string;

  constructor(book: FaultBook, connection: number, app: string) {
    super(book, connection);
    this.#app = app;
    this.refresh();
  }

  /** The first rule that rejects this notification, counted as fired. */
  rejection(handled: number, notification: NotificationView, content: ContentKey): RejectAction | undefined {
    for (const active of this.withNotifications) {
      const { action } = active.rule;
      if (action.kind !== 'reject' || !active.chooses(handled, notification, content)) continue;
      active.fire();
      return action;
    }
    return undefined;
  }

  /** Whether a frame that is bad by itself is passed over in silence; counted as fired. */
  passesOver(handled: number, notification: NotificationView, content: ContentKey): boolean {
    const rule = this.withNotifications.find(
      (active) =>
        active.rule.action.kind === 'ignoreDefects' && active.chooses(handled, notification, content),
    );
    rule?.fire();
    return rule !== undefined;
  }

  /** The rules whose turn it is to disrupt the connection, counted as fired. */
  disruptions(
    handled: number,
    notification: NotificationView | undefined,
    content: ContentKey,
  ): readonly ActiveRule<BinaryRule>[] {
    return this.fireDue(this.withConnection, handled, notification, content);
  }

  protected override rulesIn(book: FaultBook): readonly ActiveRule<BinaryRule>[] {
    return book.forConnection('binary', this.connection, this.#app);
  }

  protected override isWithNotifications({ action }: BinaryRule): boolean {
    return action.kind === 'reject' || action.kind === 'ignoreDefects';
  }
}
