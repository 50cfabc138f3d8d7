/** Where time comes from; injected, so that tests decide when it passes. */
export interface Clock {
  /** Milliseconds that pass evenly, whatever is done to the system's clock: how long something takes is told by these. */
  now(): number;
  /** Epoch milliseconds by the system's clock: what expires, expires by these. */
  epochMs(): number;
  /** Calls `fire` once after `ms`; the function that comes back cancels. */
  after(ms: number, fire: () => void): () => void;
}

export const systemClock: Clock = {
  // Near to epoch milliseconds, as long as nobody sets the system's clock.
  now: () => performance.timeOrigin + performance.now(),
  epochMs: () => Date.now(),
  after(ms, fire) {
    const timer = setTimeout(fire, ms);
    return () => clearTimeout(timer);
  },
};
