/**
 * The loop of one app. Whatever changes what the app can do wakes it; it turns once, in a microtask, however often it was
 * woken. So those who wake it may be in the middle of something, and the turn sees everything that they did.
 */
export class Loop {
  readonly #turn: () => void;
  #isWoken = false;

  /** @param turn Must not throw. */
  constructor(turn: () => void) {
    this.#turn = turn;
  }

  wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    queueMicrotask(() => {
      this.#isWoken = false;
      this.#turn();
    });
  }
}
