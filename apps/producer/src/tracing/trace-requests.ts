import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/**
 * One span for each request, a child of the caller's where the request has a `traceparent`. It names the route and not
 * the path: paths hold device tokens.
 */
export function traceRequests(app: FastifyInstance, tracer: Tracer): void {
  const spans = new WeakMap<FastifyRequest, Span>();

  app.addHook('onRequest', (request, _reply, done) => {
    const { method, headers, routeOptions } = request;
    const route = routeOptions.url;
    const name = route === undefined ? method : `${method} ${route}`;
    const span = tracer.startSpan(
      name,
      { kind: SpanKind.SERVER },
      propagation.extract(ROOT_CONTEXT, headers),
    );
    // Most are not sampled: they are not to pay for this.
    if (span.isRecording()) {
      span.setAttributes({ 'http.request.method': method, 'pushfleet.request_id': request.id });
      if (route !== undefined) span.setAttribute('http.route', route);
    }
    spans.set(request, span);
    done();
  });
  // After the body has come, which it does where the connection was accepted.
  app.addHook('preValidation', (request, _reply, done) => {
    const span = spans.get(request);
    if (span === undefined) done();
    else context.with(trace.setSpan(ROOT_CONTEXT, span), done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    end(request, reply.statusCode);
    done();
  });
  app.addHook('onRequestAbort', (request, done) => {
    end(request, 'aborted');
    done();
  });

  function end(request: FastifyRequest, result: number | 'aborted'): void {
    const span = spans.get(request);
    if (span === undefined) return;
    spans.delete(request);
    // Who follows a broadcast goes away at will: that is no error.
    if (result === 'aborted') span.setAttribute('pushfleet.aborted', true);
    else span.setAttribute('http.response.status_code', result);
    if (typeof result === 'number' && result >= 500) {
      span.setAttribute('error.type', String(result));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }
}
