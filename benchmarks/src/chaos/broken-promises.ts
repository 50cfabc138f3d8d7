import type { Timeline } from './timeline.ts';

/** Of each kind of broken promise so many are told one by one. */
const mostTold = 5;

/** The promises that did not hold, by kind, each with the faults around it. */
export class BrokenPromises {
  readonly #timeline: Timeline;
  readonly #byKind = new Map<string, { count: number; told: string[] }>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  add(kind: string, what: string, atMs?: number): void {
    const entry = this.#byKind.get(kind) ?? { count: 0, told: [] };
    this.#byKind.set(kind, entry);
    entry.count += 1;
    if (entry.told.length >= mostTold) return;
    const history = atMs === undefined ? [] : this.#timeline.around(atMs);
    entry.told.push([what, ...history.map((line) => `      ${line}`)].join('\n'));
  }

  get lines(): string[] {
    return [...this.#byKind].map(
      ([kind, { count, told }]) => `${kind}: ${count}\n    ${told.join('\n    ')}`,
    );
  }
}
