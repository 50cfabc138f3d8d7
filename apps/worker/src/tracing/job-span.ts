import { type Attributes, type Span, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import type { Lane } from '@pushfleet/push-queue';
import { parseTraceparents, type Settlement, type TakenJob } from '@pushfleet/push-queue/worker';
import { contextOf, type FleetApp, linkTo, traceparentOf } from '@pushfleet/service-kit';

/** How a try ended. */
type TryResult = 'settled' | 'put-off' | 'given-back' | 'lost' | 'poisoned';

/** One try of a push job, for the traces of its callers: from when it is taken until Redis knows what became of it. */
export class JobSpan {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  /** For what follows from the job. */
  get traceparent(): string | undefined {
    return traceparentOf(this.#span);
  }

  /** For log lines about the job. */
  get ids(): { readonly trace_id: string; readonly span_id: string } {
    const { traceId, spanId } = this.#span.spanContext();
    return { trace_id: traceId, span_id: spanId };
  }

  /** The first of its notifications has been handed to a socket. */
  noteWritten(): void {
    this.#span.addEvent('first written');
  }

  /** Sets how the try ended, and how far the job has come. */
  setResult(result: TryResult, settlement: Settlement, more: Attributes = {}): void {
    const { accepted, exceptions, left } = settlement;
    const counts = { rejected: 0, expired: 0, cancelled: 0, dead: 0 };
    for (const { outcome } of exceptions) counts[outcome]++;
    this.#span.setAttributes({
      'messaging.batch.message_count': settlement.job.count,
      'pushfleet.batch': settlement.job.batch,
      'pushfleet.result': result,
      'pushfleet.left': left,
      'pushfleet.accepted.proved': accepted.proved,
      'pushfleet.accepted.presumed': accepted.presumed,
      ...Object.fromEntries(
        Object.entries(counts).map(([outcome, count]) => [`pushfleet.${outcome}`, count]),
      ),
      ...more,
    });
    if (counts.dead > 0) this.#fail('dead');
  }

  /** Marks the try as failed: the job cannot be read, or another worker has it now. */
  setFailed(result: 'poisoned' | 'lost'): void {
    this.#span.setAttribute('pushfleet.result', result);
    this.#fail(result);
  }

  end(): void {
    this.#span.end();
  }

  #fail(type: string): void {
    this.#span.setAttribute('error.type', type);
    this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }
}

/** Begins the spans of one app's push jobs. */
export class JobSpans {
  readonly #tracer: Tracer | undefined;
  readonly #app: Pick<FleetApp, 'id' | 'transport'>;

  /** @param tracer Undefined: traces are off. */
  constructor(tracer: Tracer | undefined, app: Pick<FleetApp, 'id' | 'transport'>) {
    this.#tracer = tracer;
    this.#app = app;
  }

  /**
   * A child of the caller's span where there is one caller, with links where there are several. Undefined when
   * the job is not traced.
   */
  begin(lane: Lane, { id, telemetry, timesTaken }: TakenJob): JobSpan | undefined {
    if (this.#tracer === undefined || telemetry === undefined) return undefined;
    const callers = parseTraceparents(telemetry);
    const [caller] = callers;
    if (caller === undefined) return undefined;
    const destination = `${this.#app.id}/${lane}`;
    const attributes = {
      'messaging.system': 'bullmq',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': destination,
      'messaging.message.id': id,
      'pushfleet.app': this.#app.id,
      'pushfleet.lane': lane,
      'pushfleet.transport': this.#app.transport,
      'pushfleet.attempt': timesTaken,
    };
    const options = { kind: SpanKind.CONSUMER, attributes };
    const name = `process ${destination}`;
    return new JobSpan(
      callers.length === 1
        ? this.#tracer.startSpan(name, options, contextOf(caller))
        : this.#tracer.startSpan(name, { ...options, root: true, links: callers.map(linkTo) }),
    );
  }
}
