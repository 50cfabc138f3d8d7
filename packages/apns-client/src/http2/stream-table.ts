import { Probe } from './probe.ts';
import type { Http2Run, Http2Span } from './run.ts';

/** A request that has been written and is not over. Pooled: there is one per stream at a time, not per notification. */
export interface OpenStream {
  id: number;
  run: Http2Run;
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

/** The run of a stream object that is free, so that it keeps no other alive. */
const noRun = new Probe('');

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

  /** When the stream was opened that has been open longest; undefined: none is. */
  get oldestWriteMs(): number | undefined {
    for (const { writtenAtMs } of this.#open.values()) return writtenAtMs;
    return undefined;
  }

  add(id: number, run: Http2Run, position: number, authorization: string | undefined, nowMs: number): void {
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
    stream.run = noRun;
    stream.retryAfter = undefined;
    stream.body = '';
    stream.bodyBytes = 0;
    this.#free.push(stream);
  }

  /** Takes out what has waited for its answer since before that time, in the order of opening. */
  takeWrittenBefore(timeMs: number): OpenStream[] {
    const removed: OpenStream[] = [];
    for (const stream of this.#open.values()) {
      if (stream.writtenAtMs > timeMs) break;
      removed.push(stream);
    }
    for (const { id } of removed) this.#open.delete(id);
    return removed;
  }

  /** Takes every stream above `lastId` out, in the order of opening. */
  takeAbove(lastId: number): OpenStream[] {
    const removed: OpenStream[] = [];
    for (const stream of this.#open.values()) if (stream.id > lastId) removed.push(stream);
    for (const { id } of removed) this.#open.delete(id);
    return removed;
  }
}

/** Streams as spans of their runs: neighbours become one. */
export function spansOf(streams: readonly Pick<OpenStream, 'run' | 'position'>[]): Http2Span[] {
  const spans: { run: Http2Run; from: number; to: number }[] = [];
  for (const { run, position } of streams) {
    const last = spans.at(-1);
    if (last !== undefined && last.run === run && last.to === position) last.to++;
    else spans.push({ run, from: position, to: position + 1 });
  }
  return spans;
}
