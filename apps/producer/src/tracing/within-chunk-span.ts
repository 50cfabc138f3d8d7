import { SpanStatusCode, type Tracer } from '@opentelemetry/api';
import { linkTo } from '@pushfleet/service-kit';
import type { Broadcast } from '@pushfleet/token-store';

/** Enqueues a chunk of a broadcast within a trace of its own, which links to the request that asked for the broadcast. */
export function withinChunkSpan<T>(
  tracer: Tracer,
  { id, app, traceparent }: Pick<Broadcast, 'id' | 'app' | 'traceparent'>,
  chunk: number,
  enqueue: () => Promise<T>,
): Promise<T> {
  const options = {
    root: true,
    links: traceparent === null ? [] : [linkTo(traceparent)],
    attributes: { 'pushfleet.app': app, 'pushfleet.broadcast': id, 'pushfleet.chunk': chunk },
  };
  return tracer.startActiveSpan('broadcast chunk', options, async (span) => {
    try {
      return await enqueue();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}
