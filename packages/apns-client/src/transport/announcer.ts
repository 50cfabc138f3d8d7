import type { Transport, TransportObserver } from './transport.ts';

/** Tells a transport's observer, and whoever waits for room, what has changed. They cannot break the transport. */
export class Announcer {
  /** Tells what happened, where no state depends on it. */
  readonly tell: Required<TransportObserver>;
  readonly #transport: Pick<Transport, 'state' | 'room'>;
  #listener: () => void = () => {};
  #wasFull = false;
  #toldState = 'idle';

  constructor(transport: Pick<Transport, 'state' | 'room'>, observer: TransportObserver) {
    this.#transport = transport;
    this.tell = guardObserver(observer);
  }

  onRoom(listener: () => void): void {
    this.#listener = listener;
  }

  /** To be called when room may have gone. */
  roomTaken(): void {
    this.#wasFull ||= this.#transport.room <= 0;
  }

  /** To be called when there may be room again. */
  roomMade(): void {
    if (!this.#wasFull || this.#transport.room <= 0) return;
    this.#wasFull = false;
    this.#tellListener();
  }

  /** To be called when the state may be another. */
  state(): void {
    const { state, room } = this.#transport;
    // A pause that turns out to be about something else is another state.
    const told = state.kind === 'paused' ? `paused ${state.about} ${state.reason}` : state.kind;
    if (told === this.#toldState) return;
    this.#toldState = told;
    this.#wasFull = room <= 0;
    this.tell.stateChanged(state);
    this.#tellListener();
  }

  #tellListener(): void {
    try {
      this.#listener();
    } catch {
      // A listener that fails must not break the transport.
    }
  }
}

/** An observer that cannot break the caller: what it throws is ignored. */
export function guardObserver(observer: TransportObserver): Required<TransportObserver> {
  const guard =
    <Args extends unknown[]>(call: ((...args: Args) => void) | undefined) =>
    (...args: Args): void => {
      try {
        call?.apply(observer, args);
      } catch {
        // An observer that fails must not break the transport.
      }
    };
  return {
    stateChanged: guard(observer.stateChanged),
    connectionOpened: guard(observer.connectionOpened),
    connectionClosed: guard(observer.connectionClosed),
    errorResponse: guard(observer.errorResponse),
    lateErrorResponse: guard(observer.lateErrorResponse),
    unconfirmed: guard(observer.unconfirmed),
    replayed: guard(observer.replayed),
    uncertain: guard(observer.uncertain),
  };
}
