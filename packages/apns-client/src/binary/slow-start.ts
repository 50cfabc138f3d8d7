// After a doubtful end, small. A connection that ended without a word leaves everything in its window in doubt, and what
// is sent again may arrive twice. So the connection after it does not write as fast as it can. It writes a burst, waits
// until all of the burst has settled, and doubles it, as TCP begins a connection. What the next end can double is the
// burst, however often the gateway hangs up.

/** Frames of the first burst after a doubtful end, at most. */
const largestFirstBurst = 200;
/** Near the burst that failed, bursts grow slowly: in this many steps from half of it up to it. */
const slowSteps = 4;
/** After this long without a doubtful end, one burst that passes ends the caution, milliseconds. */
const calmMs = 60_000;

/** How much a group of connections may have in doubt at a time: everything, until a connection ends in doubt. */
export class SlowStart {
  readonly #longest: number;
  #burst = Number.POSITIVE_INFINITY;
  #first = largestFirstBurst;
  #written = 0;
  /** The burst in which the last connection ended in doubt, and what it had settled before: near that, caution. */
  #failed = 0;
  #endedAfter = 0;
  #lastDoubtMs = 0;
  readonly #mostCaution: number;
  /** Bursts that must pass near the one that failed before the next is longer. Doubles with each failure. */
  #caution = 1;
  #passedNear = 0;

  /**
   * @param longest A burst that would be longer is no limit any more.
   * @param mostCaution Bursts of one length near the one that failed, at most.
   */
  constructor(longest: number, mostCaution: number) {
    this.#longest = longest;
    this.#mostCaution = mostCaution;
  }

  get isActive(): boolean {
    return this.#burst !== Number.POSITIVE_INFINITY;
  }

  /** Frames of the burst, when it begins. */
  get burst(): number {
    return this.#burst;
  }

  /** Frames of this burst that have been written. */
  get written(): number {
    return this.#written;
  }

  write(frames: number): void {
    if (this.isActive) this.#written += frames;
  }

  /** A connection ended with `count` frames in doubt, after it had settled `settled`. */
  doubted(count: number, settled: number, nowMs: number): void {
    this.#first = Math.max(1, Math.min(largestFirstBurst, Math.floor(count / 2), this.#burst));
    this.#endedAfter = this.isActive ? settled : 0;
    this.#failed = count;
    this.#caution = this.isActive ? Math.min(this.#mostCaution, this.#caution * 2) : 1;
    this.#passedNear = 0;
    this.#lastDoubtMs = nowMs;
    this.#begin(this.#first);
  }

  /** The burst is over, and not in doubt. @param settled Frames that its connection has settled so far. */
  passed(settled: number, nowMs: number): void {
    const isCalm = nowMs - this.#lastDoubtMs >= calmMs;
    const isUsed = this.#written * 2 >= this.#burst;
    let next = isCalm ? Number.POSITIVE_INFINITY : isUsed ? this.#lengthen() : this.#burst;
    // Up to where the last one ended, and slowly from there.
    const left = this.#endedAfter - settled;
    if (left > 0) next = Math.min(next, left);
    else if (settled - this.#written < this.#endedAfter) next = Math.min(next, this.#first);
    this.#begin(next > this.#longest ? Number.POSITIVE_INFINITY : next);
  }

  /** Returns the next burst: twice as long, but slowly near the one that failed, where several have to pass first. */
  #lengthen(): number {
    const isNear = this.#burst * 2 >= this.#failed && this.#burst < this.#failed;
    if (!isNear) return this.#burst * 2;
    if (++this.#passedNear < this.#caution) return this.#burst;
    this.#passedNear = 0;
    return this.#burst + Math.max(1, Math.floor(this.#failed / 2 / slowSteps));
  }

  #begin(burst: number): void {
    this.#burst = burst;
    this.#written = 0;
  }
}
