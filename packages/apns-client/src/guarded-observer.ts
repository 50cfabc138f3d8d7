import type { TransportObserver } from './transport.ts';

/** An observer that cannot break the caller: its failure is its own affair. */
export function guardObserver(observer: TransportObserver): Required<TransportObserver> {
  const guard =
    <Args extends unknown[]>(call: ((...args: Args) => void) | undefined) =>
    (...args: Args): void => {
      try {
        call?.apply(observer, args);
      } catch {
        // As above.
      }
    };
  return {
    stateChanged: guard(observer.stateChanged),
    connectionOpened: guard(observer.connectionOpened),
    connectionClosed: guard(observer.connectionClosed),
    errorResponse: guard(observer.errorResponse),
    lateErrorResponse: guard(observer.lateErrorResponse),
    replayed: guard(observer.replayed),
    uncertain: guard(observer.uncertain),
  };
}
