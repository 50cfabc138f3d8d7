/** Where time comes from; injected, so that tests decide when it passes. */
export interface Clock {
  /** Milliseconds that pass evenly, whatever is done to the system's clock: durations and deadlines are measured by these. */
  now(): number;
  /** Epoch milliseconds by the system's clock: expirations are compared with these. */
  epochMs(): number;
  /** Calls `fire` once after `ms`; the function that comes back cancels. */
  after(ms: number, fire: () => void): () => void;
}

export const systemClock: Clock = {
  // Near to epoch milliseconds, until the system's clock is set.
  now: () => performance.timeOrigin + performance.now(),
  epochMs: () => Date.now(),
  after(ms, fire) {
    const timer = setTimeout(fire, ms);
    return () => clearTimeout(timer);
  },
};
