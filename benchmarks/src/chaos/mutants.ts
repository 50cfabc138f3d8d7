/** A bug of one line that is planted to see that a run finds it. */
export interface Mutant {
  /** What it does, for the table. */
  readonly name: string;
  /** File, from the root of the repository. */
  readonly file: string;
  /** Text that the file holds once. */
  readonly find: string;
  readonly replace: string;
}

const binary = 'packages/apns-client/src/binary';
const http2 = 'packages/apns-client/src/http2';
const queue = 'packages/push-queue/src';

export const mutants: readonly Mutant[] = [
  {
    name: 'an error packet proves one frame too many',
    file: `${binary}/in-flight-window.ts`,
    find: 'this.#takeFromHead(Math.min(ahead, segment.to - segment.from), take);',
    replace: 'this.#takeFromHead(Math.min(ahead + 1, segment.to - segment.from), take);',
  },
  {
    name: 'frames after the rejected one count as accepted',
    file: `${binary}/closure.ts`,
    find: 'return { ...closure, answer, proved, named, unprocessed: window.takeAll() };',
    replace:
      'return { ...closure, answer, proved: [...proved, ...window.takeAll()], named, unprocessed: [] };',
  },
  {
    name: 'frames before the rejected one are sent again',
    file: `${binary}/closure.ts`,
    find: 'return { ...closure, answer, proved, named, unprocessed: window.takeAll() };',
    replace:
      'return { ...closure, answer, proved: [], named, unprocessed: [...proved, ...window.takeAll()] };',
  },
  {
    name: 'what is replayed goes behind what waits',
    file: 'packages/apns-client/src/transport/span-queue.ts',
    find: 'this.#spans.unshift(spans);',
    replace: 'for (const span of spans) this.#spans.push(span);',
  },
  {
    name: 'a shutdown packet names the first frame that was not taken',
    file: `${binary}/consequences.ts`,
    find: "if (answer.meaning === 'accepted') run.settled(from, to, acceptedAs.proved);",
    replace:
      "if (answer.meaning === 'accepted') run.settled(from, to, retryableBy(gatewayAnswer(answer.status)));",
  },
  {
    name: 'streams above the last one of a GOAWAY count as processed',
    file: `${http2}/session.ts`,
    find: 'this.#outcomes.discarded(this.#streams.takeAbove(this.#lastProcessedId));',
    replace:
      'for (const stream of this.#streams.takeAbove(this.#lastProcessedId)) this.#outcomes.accept(stream);',
  },
  {
    name: 'a refused stream counts as accepted',
    file: `${http2}/stream-outcomes.ts`,
    find: 'this.#events.unprocessed([stream]);',
    replace: 'this.accept(stream);',
  },
  {
    name: '503 is final',
    file: `${http2}/answer-policy.ts`,
    find: "ServiceUnavailable: { action: 'retry' },",
    replace: "ServiceUnavailable: { action: 'reject' },",
  },
  {
    name: 'a checkpoint forgets what was rejected',
    file: `${queue}/worker/settlement.ts`,
    find: '      accepted: this.accepted,\n      exceptions: this.#exceptions.all,\n      resentUncertain: this.#resentUncertain,',
    replace:
      '      accepted: this.accepted,\n      exceptions: [],\n      resentUncertain: this.#resentUncertain,',
  },
  {
    name: 'a cancellation is not seen when a push job is taken',
    file: `${queue}/worker/lane-queue.ts`,
    find: 'mayBeCancelled: mayBeCancelled === 1,',
    replace: 'mayBeCancelled: false,',
  },
  {
    name: 'a lock that was lost counts as renewed',
    file: `${queue}/worker/lock-keeper.ts`,
    find: 'const lost = new Set(await queue.renew(asked.map(({ job }) => job)));',
    replace: 'const lost = new Set<string>((await queue.renew(asked.map(({ job }) => job))).slice(0, 0));',
  },
  {
    name: 'a call with a known idempotency key is enqueued again',
    file: `${queue}/enqueue/encode.ts`,
    find: 'recordName: recordNameOf(idempotencyKey, recall),',
    replace: 'recordName: recordNameOf(idempotencyKey, recall) + Math.random(),',
  },
  {
    name: 'a report that comes again is counted again',
    file: 'packages/token-store/src/reconcile/apply-reports.ts',
    find: 'from input order by batch, first_index\n  on conflict do nothing returning *',
    replace:
      'from input order by batch, first_index\n  on conflict (batch, first_index) do update set settled_at = excluded.settled_at returning *',
  },
  {
    name: 'a report that Postgres refuses for the moment is given up',
    file: 'apps/feedback-sweeper/src/reports/report-applier.ts',
    find: 'if (error instanceof TokenStoreError && !error.isTransient) throw error;\n        postgres.failed(error);',
    replace: 'return true;',
  },
  {
    name: 'a scheduled send goes out at once',
    file: 'packages/push-queue/src/enqueue/encode.ts',
    find: 'return startMs <= nowMs ? undefined : startMs;',
    replace: 'return undefined;',
  },
  {
    name: 'a broadcast that is resumed enqueues its last chunk under another key',
    file: 'apps/producer/src/broadcasts/fan-out.ts',
    find: 'const key = chunkKey(id, this.#chunk);',
    replace: 'const key = chunkKey(id, this.#chunk) + Date.now();',
  },
];
