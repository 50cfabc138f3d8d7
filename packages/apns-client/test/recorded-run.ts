import type { NotificationColumns } from '@pushfleet/apns-wire';
import { generateTokenBytes } from '@pushfleet/testkit';
import type { Http2Columns, NotificationRun, Verdict } from '../src/index.ts';

export interface RunContent {
  readonly count: number;
  /** Only these of them; all by default. */
  readonly positions?: readonly number[];
  /** Runs of different seeds share no token. */
  readonly seed?: number;
  readonly payload?: string;
  /** Epoch seconds by position; 0 where absent. */
  readonly expirations?: Readonly<Record<number, number>>;
  /** `alert` and none by default. */
  readonly http2?: Partial<Pick<Http2Columns, 'pushType' | 'collapseId'>>;
}

/** Columns of notifications with tokens of their own and one payload. */
function createColumns(content: RunContent): NotificationColumns {
  const { seed = 1, payload, expirations, positions } = content;
  const payloads = Buffer.from(payload ?? '{"aps":{"alert":"Hello"}}');
  const all = generateTokenBytes({ count: content.count, seed });
  const count = positions?.length ?? content.count;
  const columns = {
    count,
    tokens:
      positions === undefined
        ? all
        : Buffer.concat(positions.map((position) => all.subarray(position * 32, (position + 1) * 32))),
    tokenOffsets: Uint32Array.from({ length: count + 1 }, (_, position) => position * 32),
    payloads,
    payloadOffsets: Uint32Array.of(0, payloads.length),
    payloadOf: new Uint16Array(count),
    expirations: new Uint32Array(count),
    priorities: new Uint8Array(count).fill(10),
  };
  for (const [position, at] of Object.entries(expirations ?? {})) columns.expirations[Number(position)] = at;
  return columns;
}

/** A run that writes down what becomes of it. A position that settles twice is noted, and thrown. */
export class RecordedRun implements NotificationRun {
  readonly columns: NotificationColumns;
  readonly http2: Http2Columns;
  readonly settlements: (Verdict | undefined)[];
  /** Positions that settled more than once: none, ever. */
  readonly twice: number[] = [];
  /** How often each position was written. */
  readonly writes: Uint32Array;
  /** How often each position was sent again although it was in doubt. */
  readonly resends: Uint32Array;
  readonly #positions: readonly number[] | undefined;
  readonly #waiting: (() => void)[] = [];
  #open: number;

  constructor(content: RunContent | NotificationColumns) {
    this.columns = 'tokens' in content ? content : createColumns(content);
    this.#positions = 'tokens' in content ? undefined : content.positions;
    const { seed = 1, http2 } = 'tokens' in content ? { http2: undefined } : content;
    const ids = `${seed.toString(16).padStart(8, '0')}-0000-7000-8000-0000`;
    this.http2 = {
      pushType: 'alert',
      collapseId: null,
      ...http2,
      apnsId: (position) => ids + position.toString(16).padStart(8, '0'),
    };
    this.settlements = new Array<Verdict | undefined>(this.columns.count).fill(undefined);
    this.writes = new Uint32Array(this.columns.count);
    this.resends = new Uint32Array(this.columns.count);
    this.#open = this.columns.count;
  }

  readonly sink = {
    written: (from: number, to: number): void => {
      for (let position = from; position < to; position++) this.writes[position]! += 1;
    },
    resent: (from: number, to: number): void => {
      for (let position = from; position < to; position++) this.resends[position]! += 1;
    },
    settled: (from: number, to: number, verdict: Verdict): void => this.#settle(from, to, verdict),
  };

  /** Notifications without an outcome. */
  get open(): number {
    return this.#open;
  }

  /** Positions by kind of settlement, `accepted` by certainty. */
  get sums(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const settlement of this.settlements) {
      const name =
        settlement === undefined
          ? 'open'
          : settlement.kind === 'accepted'
            ? settlement.certainty
            : settlement.kind;
      sums[name] = (sums[name] ?? 0) + 1;
    }
    return sums;
  }

  positions(kind: Verdict['kind']): number[] {
    return this.settlements.flatMap((settlement, position) => (settlement?.kind === kind ? [position] : []));
  }

  /** Where a position stood in the run that this one is the rest of. */
  original(position: number): number {
    return this.#positions?.[position] ?? position;
  }

  token(position: number): string {
    return Buffer.from(this.columns.tokens.subarray(position * 32, (position + 1) * 32)).toString('hex');
  }

  /** Waits until every position has an outcome. */
  async settled(timeoutMs = 20_000): Promise<this> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.#open > 0) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        signal.addEventListener('abort', () =>
          reject(new Error(`Not settled: ${JSON.stringify(this.sums)}`)),
        );
      });
    }
    return this;
  }

  #settle(from: number, to: number, settlement: Verdict): void {
    for (let position = from; position < to; position++) {
      if (this.settlements[position] !== undefined) this.twice.push(position);
      this.settlements[position] = settlement;
    }
    this.#open -= to - from;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
