import type { Transport, TransportObserver, TransportState } from '../transport.ts';
import type { EndedConnection } from './connection-group.ts';
import { countOf, type Span } from './span.ts';

/** Tells a transport's observer, and whoever waits for room, what has changed. They cannot break the transport. */
export class Announcer {
  readonly #transport: Pick<Transport, 'state' | 'room'>;
  readonly #observer: TransportObserver;
  #listener: () => void = () => {};
  #wasFull = false;
  #toldState: TransportState['kind'];

  constructor(transport: Pick<Transport, 'state' | 'room'>, observer: TransportObserver) {
    this.#transport = transport;
    this.#observer = observer;
    this.#toldState = 'idle';
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
    this.#tell(this.#listener);
  }

  /** To be called when the state may be another. */
  state(): void {
    const { state, room } = this.#transport;
    if (state.kind === this.#toldState) return;
    this.#toldState = state.kind;
    this.#wasFull = room <= 0;
    this.#tell(() => this.#observer.stateChanged?.(state));
    this.#tell(this.#listener);
  }

  opened(connectionId: string): void {
    this.#tell(() => this.#observer.connectionOpened?.(connectionId));
  }

  ended({ id, closure, livedMs }: EndedConnection, replayed: readonly Span[]): void {
    const observer = this.#observer;
    const { answer, end, uncertain } = closure;
    this.#tell(() => observer.connectionClosed?.(id, end, livedMs));
    // The answer to our own known-bad frame is no error.
    if (answer !== undefined && end === 'error-response') {
      const { status, wronglyPresumed } = answer;
      this.#tell(() => observer.errorResponse?.(id, status));
      if (wronglyPresumed > 0) this.#tell(() => observer.lateErrorResponse?.(id, status, wronglyPresumed));
    }
    if (replayed.length > 0) this.#tell(() => observer.replayed?.(countOf(replayed)));
    if (uncertain.length > 0) this.#tell(() => observer.uncertain?.(countOf(uncertain), end));
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch {
      // An observer's failure is the observer's.
    }
  }
}
