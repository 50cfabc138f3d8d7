import type { NotificationRun } from '../transport.ts';
import type { RunSpan } from './backlog.ts';

/** A request that has been written and is not over. Pooled: there is one per stream at a time, not per notification. */
export interface OpenStream {
  id: number;
  run: NotificationRun;
  position: number;
  writtenAtMs: number;
  /** What the request was sent with; undefined: a certificate. */
  authorization: string | undefined;
  /** Of the head of the answer, once it has come. */
  status: number;
  retryAfter: string | undefined;
  /** Of the answer, where it is not a plain 200. */
  body: string;
  bodyBytes: number;
}

const nobody: NotificationRun = {
  columns: {
    count: 0,
    tokens: new Uint8Array(0),
    tokenOffsets: Uint32Array.of(0),
    payloads: new Uint8Array(0),
    payloadOffsets: Uint32Array.of(0),
    payloadOf: new Uint16Array(0),
    expirations: new Uint32Array(0),
    priorities: new Uint8Array(0),
  },
  sink: {
    written() {},
    accepted() {},
    rejected() {},
    retryable() {},
    uncertain() {},
    expired() {},
    unprocessed() {},
  },
};

/** The in-flight window of a connection: streams by identifier, in the order they were opened. */
export class StreamTable {
  readonly #open = new Map<number, OpenStream>();
  readonly #free: OpenStream[] = [];

  get size(): number {
    return this.#open.size;
  }

  get(id: number): OpenStream | undefined {
    return this.#open.get(id);
  }

  /** The one that has been open longest. */
  get oldest(): OpenStream | undefined {
    return this.#open.values().next().value;
  }

  add(
    id: number,
    run: NotificationRun,
    position: number,
    authorization: string | undefined,
    nowMs: number,
  ): void {
    const stream = this.#free.pop() ?? {
      id,
      run,
      position,
      writtenAtMs: nowMs,
      authorization,
      status: 0,
      retryAfter: undefined,
      body: '',
      bodyBytes: 0,
    };
    stream.id = id;
    stream.run = run;
    stream.position = position;
    stream.writtenAtMs = nowMs;
    stream.authorization = authorization;
    stream.status = 0;
    this.#open.set(id, stream);
  }

  /** Takes a stream out. */
  remove(stream: OpenStream): void {
    this.#open.delete(stream.id);
  }

  /** A stream that was taken out is not looked at any more: its object may serve another. */
  release(stream: OpenStream): void {
    stream.run = nobody;
    stream.retryAfter = undefined;
    stream.body = '';
    stream.bodyBytes = 0;
    this.#free.push(stream);
  }

  /** Takes every stream above `lastId` out, in the order of opening. */
  takeAbove(lastId: number): OpenStream[] {
    const taken: OpenStream[] = [];
    for (const stream of this.#open.values()) if (stream.id > lastId) taken.push(stream);
    for (const { id } of taken) this.#open.delete(id);
    return taken;
  }
}

/** Streams as spans of their runs: neighbours become one. */
export function spansOf(streams: readonly OpenStream[]): RunSpan[] {
  const spans: { run: NotificationRun; from: number; to: number }[] = [];
  for (const { run, position } of streams) {
    const last = spans.at(-1);
    if (last !== undefined && last.run === run && last.to === position) last.to++;
    else spans.push({ run, from: position, to: position + 1 });
  }
  return spans;
}
