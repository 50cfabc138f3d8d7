import type { TransportObserver } from './transport.ts';

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
