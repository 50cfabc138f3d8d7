import type { Transport, TransportObserver } from './transport.ts';

/** Calls a transport's observer, and its listener for room. What these throw is ignored. */
export class Announcer {
  readonly observer: Required<TransportObserver>;
  readonly #transport: Pick<Transport, 'state' | 'room'>;
  #listener: () => void = () => {};
  #wasFull = false;
  #announcedState = 'idle';

  constructor(transport: Pick<Transport, 'state' | 'room'>, observer: TransportObserver) {
    this.#transport = transport;
    this.observer = guardObserver(observer);
  }

  onRoom(listener: () => void): void {
    this.#listener = listener;
  }

  /** There may be less room. */
  roomTaken(): void {
    this.#wasFull ||= this.#transport.room <= 0;
  }

  /** There may be more room. */
  roomMade(): void {
    if (!this.#wasFull || this.#transport.room <= 0) return;
    this.#wasFull = false;
    this.#callListener();
  }

  /** Announces the state, if it is another. */
  announceState(): void {
    const { state, room } = this.#transport;
    // A pause that turns out to be about something else is another state.
    const announced = state.kind === 'paused' ? `paused ${state.about} ${state.reason}` : state.kind;
    if (announced === this.#announcedState) return;
    this.#announcedState = announced;
    this.#wasFull = room <= 0;
    this.observer.stateChanged(state);
    this.#callListener();
  }

  #callListener(): void {
    try {
      this.#listener();
    } catch {
      // A listener that fails must not break the transport.
    }
  }
}

/** An observer that cannot break the caller: what it throws is ignored. */
function guardObserver(observer: TransportObserver): Required<TransportObserver> {
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
