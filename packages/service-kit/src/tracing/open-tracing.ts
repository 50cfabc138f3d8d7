import { context, DiagLogLevel, diag, propagation, type Tracer, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { ServiceName } from '../admin-ports.ts';
import type { Logger } from '../log/logger.ts';
import { withDeadline } from '../with-deadline.ts';
import { LoggedExporter } from './logged-exporter.ts';
import { sampledLinksFirst } from './sampled-links.ts';
import type { TracingConfig } from './tracing-environment.ts';

// All of the SDK. Loaded only where traces are on.

export interface Tracing {
  readonly tracer: Tracer;
  /** Hands over what there is, in bounded time. Never rejects. */
  close(): Promise<void>;
}

/** A stop waits no longer than this for the collector, milliseconds. */
const closeTimeoutMs = 3_000;

/** Opens no connection before the first spans are due. */
export function openTracing(service: ServiceName, config: TracingConfig, logger: Logger): Tracing {
  // At debug: what matters is told by the exporter's keeper, once.
  const log = (...said: unknown[]) => logger.debug({ said }, 'a message of OpenTelemetry');
  diag.setLogger({ error: log, warn: log, info: log, debug: log, verbose: log }, DiagLogLevel.WARN);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const exporter = new LoggedExporter(new OTLPTraceExporter({ headers: config.headers }), logger);
  const { looksAtParent, ratio } = config.sampler;
  const sampler = new TraceIdRatioBasedSampler(ratio);
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': `pushfleet-${service}` }))
      .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] })),
    sampler: looksAtParent ? new ParentBasedSampler({ root: sampledLinksFirst(sampler) }) : sampler,
    spanProcessors: [new BatchSpanProcessor({ ...config.batch, exporter })],
  });
  return {
    tracer: provider.getTracer('pushfleet'),
    async close() {
      try {
        await withDeadline(provider.shutdown(), closeTimeoutMs);
      } catch (err) {
        logger.warn({ err }, 'the last traces could not be exported');
      }
    },
  };
}

/** For log lines: the trace and the span they belong to. */
export function activeSpanIds(): Readonly<Record<string, string>> {
  const span = trace.getActiveSpan()?.spanContext();
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
}
