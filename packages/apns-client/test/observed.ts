import type { ConnectionEnd, TransportObserver, TransportState } from '../src/index.ts';

/** What an observer saw. */
export class Observed {
  readonly states: TransportState[] = [];
  readonly ends: ConnectionEnd[] = [];
  readonly statuses: number[] = [];
  opened = 0;
  /** Of them, those that took up an earlier TLS session. */
  resumed = 0;
  replayed = 0;
  uncertain = 0;
  wronglyPresumed = 0;
  unconfirmed = 0;
  onClosed: () => void = () => {};
  onUncertain: (notifications: number) => void = () => {};

  readonly observer: TransportObserver = {
    stateChanged: (state) => void this.states.push(state),
    connectionOpened: (_, resumed) => {
      this.opened += 1;
      if (resumed) this.resumed += 1;
    },
    connectionClosed: (_, end) => {
      this.ends.push(end);
      this.onClosed();
    },
    errorResponse: (_, status) => void this.statuses.push(status),
    lateErrorResponse: (_, __, wronglyPresumed) => {
      this.wronglyPresumed += wronglyPresumed;
    },
    unconfirmed: (_, notifications) => {
      this.unconfirmed += notifications;
    },
    replayed: (notifications) => {
      this.replayed += notifications;
    },
    uncertain: (notifications) => {
      this.uncertain += notifications;
      this.onUncertain(notifications);
    },
  };
}
