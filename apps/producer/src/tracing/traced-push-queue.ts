import { type Attributes, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import {
  type BatchInput,
  type BatchOptions,
  type BatchResult,
  type CallOptions,
  PushQueue,
  PushQueueError,
  type PushQueueOptions,
  parseNotificationId,
  pushJobId,
  type RecallOptions,
  type SendInput,
  type SendResult,
  type TokensInput,
  type TokensResult,
} from '@pushfleet/push-queue';
import { traceparentOf } from '@pushfleet/service-kit';

/** A push queue whose calls are spans, and whose push jobs carry them. Each ends when Redis has the call's notifications. */
export class TracedPushQueue extends PushQueue {
  readonly #tracer: Tracer;

  constructor(options: PushQueueOptions, tracer: Tracer) {
    super({ ...options, traceparent: () => traceparentOf(trace.getActiveSpan()) });
    this.#tracer = tracer;
  }

  override enqueue(input: SendInput): Promise<SendResult> {
    return this.#within(input, () => super.enqueue(input), describeSend);
  }

  override enqueueBatch(input: BatchInput, options?: BatchOptions): Promise<BatchResult> {
    return this.#within(
      input,
      () => super.enqueueBatch(input, options),
      ({ batchId, notificationIds }) => describeBatch(batchId, notificationIds.length),
    );
  }

  override enqueueTokens(input: TokensInput, recall?: RecallOptions): Promise<TokensResult> {
    return this.#within(
      input,
      () => super.enqueueTokens(input, recall),
      ({ batchId, count }) => describeBatch(batchId, count),
    );
  }

  #within<T extends { readonly replayed: boolean }>(
    call: CallOptions,
    enqueue: () => Promise<T>,
    describe: (result: T) => Attributes,
  ): Promise<T> {
    // Within a request that is not sampled there is nothing to tell.
    if (trace.getActiveSpan()?.isRecording() === false) return enqueue();
    const options = { kind: SpanKind.PRODUCER, attributes: producerAttributes };
    return this.#tracer.startActiveSpan('enqueue', options, async (span) => {
      try {
        const result = await enqueue();
        // Only now is it known that these are an app and a lane.
        const { app, lane = 'transactional' } = call;
        span.updateName(`enqueue ${app}/${lane}`);
        span.setAttributes({
          'messaging.destination.name': `${app}/${lane}`,
          'pushfleet.app': app,
          'pushfleet.lane': lane,
          'pushfleet.replayed': result.replayed,
          ...describe(result),
        });
        return result;
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    });
  }
}

const producerAttributes = {
  'messaging.system': 'bullmq',
  'messaging.operation.name': 'enqueue',
  'messaging.operation.type': 'send',
};

/** Single sends share a push job, the only one of its batch. */
function describeSend({ notificationId }: SendResult): Attributes {
  const { batch } = parseNotificationId(notificationId)!;
  return {
    'messaging.message.id': pushJobId(batch, 1),
    'pushfleet.batch': batch,
    'pushfleet.notification': notificationId,
  };
}

function describeBatch(batch: string, count: number): Attributes {
  return { 'messaging.batch.message_count': count, 'pushfleet.batch': batch };
}

/** By its code: messages may quote what a caller has sent. */
function fail(span: Span, error: unknown): void {
  span.setAttribute('error.type', error instanceof PushQueueError ? error.code : 'internal');
  span.setStatus({ code: SpanStatusCode.ERROR });
}
