/** A pause that ends early when somebody rings. */
export class Alarm {
  #wake: (() => void) | undefined;

  /** Ends the pause; without one it does nothing. */
  ring(): void {
    this.#wake?.();
  }

  /** Resolves after `ms`, at the next ring, or when the signal comes or has come. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
