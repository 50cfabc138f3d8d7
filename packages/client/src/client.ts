import type {
  Batch,
  Broadcast,
  BroadcastException,
  BroadcastExceptionPage,
  BroadcastRequest,
  DeadLetterReplay,
  DeadLetterReplayAnswer,
  DeviceRegistration,
  Exception,
  ExceptionPage,
  FoundExceptionPage,
  Notification,
  SendAnswer,
  SendMany,
  SendOne,
} from './api-types.ts';
import { PushfleetError } from './pushfleet-error.ts';
import {
  type CallInput,
  type CallOptions,
  type ClientOptions,
  type OperationName,
  pause,
  Transport,
} from './transport.ts';

export interface SendOptions extends CallOptions {
  /**
   * The same request with the same key yields one push. Default: a random one, so that a repetition after a failure of
   * the network is safe.
   */
  readonly idempotencyKey?: string;
}

export interface ReplayOptions extends CallOptions {
  /** Notifications per second. Default: as fast as the API takes them. */
  readonly rate?: number;
}

/** Notifications that the API replays in one request, at most. */
const maxReplayed = 1_000;

/** Before events that broke off are asked for again, milliseconds. */
const reconnectMs = 1_000;

/** A file, as text or bytes, or bit by bit. */
export type UploadBody = NonNullable<RequestInit['body']> | AsyncIterable<Uint8Array>;

/** A client of Pushfleet's HTTP API. Every method rejects with PushfleetError. */
export class PushfleetClient {
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
  }

  /** Sends one notification or many. Resolves when the queue has it. */
  async send(request: SendOne | SendMany, options: SendOptions = {}): Promise<SendAnswer> {
    return this.#transport.call('POST /v1/notifications', keyed(request, options), options);
  }

  /** What has become of a batch. Of a single send, `batchId` is the notification's own id. */
  async batch(batchId: string, options?: CallOptions): Promise<Batch> {
    return this.#transport.call('GET /v1/batches/{id}', { path: { id: batchId } }, options);
  }

  async notification(notificationId: string, options?: CallOptions): Promise<Notification> {
    return this.#transport.call('GET /v1/notifications/{id}', { path: { id: notificationId } }, options);
  }

  /** Cancels what has not been sent yet; returns how many that may be. */
  async cancelBatch(batchId: string, options?: CallOptions): Promise<number> {
    return (await this.#transport.call('DELETE /v1/batches/{id}', { path: { id: batchId } }, options)).queued;
  }

  async cancelNotification(notificationId: string, options?: CallOptions): Promise<void> {
    await this.#transport.call('DELETE /v1/notifications/{id}', { path: { id: notificationId } }, options);
  }

  /** Those of a batch that were not simply accepted, page by page as they are asked for. */
  async *exceptions(batchId: string, options?: CallOptions): AsyncGenerator<Exception> {
    const path = { id: batchId };
    for (let after: number | null = 0; after !== null; ) {
      const input = { path, query: { after, format: 'json' as const } };
      const answer = await this.#transport.call('GET /v1/batches/{id}/exceptions', input, options);
      const page: ExceptionPage = asPage(answer);
      yield* page.exceptions;
      after = page.next;
    }
  }

  /** Those of a broadcast that were not simply accepted, page by page as they are asked for. */
  async *broadcastExceptions(broadcastId: string, options?: CallOptions): AsyncGenerator<BroadcastException> {
    const path = { id: broadcastId };
    for (let after: string | null | undefined; after !== null; ) {
      const input = { path, query: { ...(after === undefined ? {} : { after }), format: 'json' as const } };
      const answer = await this.#transport.call('GET /v1/broadcasts/{id}/exceptions', input, options);
      const page: BroadcastExceptionPage = asPage(answer);
      yield* page.exceptions;
      after = page.next;
    }
  }

  /**
   * What was not simply accepted of all that was sent to a device (`token`) or to the devices of a user, the newest first,
   * page by page as they are asked for.
   */
  async *exceptionsOf(
    app: string,
    owner: { readonly token: string } | { readonly userId: string },
    options?: CallOptions,
  ): AsyncGenerator<BroadcastException> {
    for (let after: string | null | undefined; after !== null; ) {
      const query = { app, ...owner, ...(after === undefined ? {} : { after }), format: 'json' as const };
      const answer = await this.#transport.call('GET /v1/exceptions', { query }, options);
      const page: FoundExceptionPage = asPage(answer);
      yield* page.exceptions;
      after = page.next;
    }
  }

  /** Registers a device, or refreshes its registration. */
  async registerDevice(token: string, registration: DeviceRegistration, options?: CallOptions) {
    const input = { path: { token }, body: registration };
    return this.#transport.call('PUT /v1/devices/{token}', input, options);
  }

  async device(app: string, token: string, options?: CallOptions) {
    return this.#transport.call('GET /v1/devices/{token}', { path: { token }, query: { app } }, options);
  }

  async removeDevice(app: string, token: string, options?: CallOptions): Promise<void> {
    await this.#transport.call('DELETE /v1/devices/{token}', { path: { token }, query: { app } }, options);
  }

  /** Registers the devices of a file of any length; lines that are not right are told. */
  async importDevices(app: string, format: 'ndjson' | 'csv', body: UploadBody, options?: CallOptions) {
    const type = format === 'csv' ? 'text/csv' : 'application/x-ndjson';
    return this.#transport.call('POST /v1/devices/import', uploading(app, type, body), options);
  }

  /** Uploads a list of users, one id a line, for the audience of a broadcast. */
  async uploadUsers(app: string, body: UploadBody, options?: CallOptions) {
    return this.#transport.call('POST /v1/uploads', uploading(app, 'text/plain', body), options);
  }

  async broadcast(request: BroadcastRequest, options: SendOptions = {}): Promise<Broadcast> {
    const input = keyed({ ...request, dryRun: false }, options);
    return (await this.#transport.call('POST /v1/broadcasts', input, options)) as Broadcast;
  }

  /** How many devices a broadcast would reach; sends nothing. */
  async countAudience(request: BroadcastRequest, options?: CallOptions): Promise<number> {
    const input = { body: { ...request, dryRun: true }, isRepeatable: true };
    const answer = await this.#transport.call('POST /v1/broadcasts', input, options);
    return (answer as { readonly devices: number }).devices;
  }

  /**
   * How far a broadcast has come, whenever something changes, until nothing of it is queued any more. Events that break
   * off, as when a producer is stopped, are asked for again.
   */
  async *followBroadcast(broadcastId: string, options: CallOptions = {}): AsyncGenerator<Broadcast> {
    const input = { path: { id: broadcastId }, accept: 'text/event-stream', timeoutMs: 0 };
    for (;;) {
      const answer = await this.#transport.open('GET /v1/broadcasts/{id}/events', input, options);
      let last: Broadcast | undefined;
      try {
        for await (const data of readEvents(answer.body!)) {
          last = JSON.parse(data) as Broadcast;
          yield last;
        }
      } catch {
        // Where the API is away for longer, asking again says so.
      }
      if (last !== undefined && isOver(last)) return;
      await pause(reconnectMs, options.signal);
    }
  }

  /**
   * Sends dead notifications again that a filter means, at a rate: what each request has replayed, as it answers. Ended
   * early and called again it goes on with what is left.
   */
  async *replayDeadLetters(
    app: string,
    filter: Omit<DeadLetterReplay, 'limit' | 'cursor'>,
    { rate = Number.POSITIVE_INFINITY, ...options }: ReplayOptions = {},
  ): AsyncGenerator<DeadLetterReplayAnswer> {
    // A second's worth at a time: a rate is not kept by a thousand at once.
    const limit = Math.max(1, Math.min(maxReplayed, Math.floor(rate)));
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const startMs = performance.now();
      const body = { ...filter, limit, ...(cursor === undefined ? {} : { cursor }) };
      const input = { path: { app }, body, isRepeatable: true };
      const answer = await this.#transport.call('POST /v1/apps/{app}/dead-letters/replay', input, options);
      yield answer;
      cursor = answer.next;
      const restMs = (answer.notifications / rate) * 1_000 - (performance.now() - startMs);
      if (cursor !== null && restMs > 0) await pause(restMs, options.signal);
    }
  }

  /** Any other operation of the API, by its method and path as the OpenAPI document has them. */
  async call<Name extends OperationName>(name: Name, input?: CallInput<Name>, options?: CallOptions) {
    return this.#transport.call(name, input, options);
  }

  /** Any operation, its answer unread: files and streams. `timeoutMs: 0` of the input lets them take their time. */
  async open<Name extends OperationName>(
    name: Name,
    input: CallInput<Name> = {},
    options: CallOptions = {},
  ): Promise<Response> {
    return this.#transport.open(name, input, options);
  }
}

/** Opens nothing before the first call. */
export function createClient(options: ClientOptions): PushfleetClient {
  return new PushfleetClient(options);
}

/** An answer that may be CSV or NDJSON, where JSON was asked for. @throws PushfleetError `unreadable-answer` */
function asPage<Page>(answer: Page | string): Page {
  if (typeof answer === 'string') throw new PushfleetError('unreadable-answer', 'the answer is no page');
  return answer;
}

function isOver({ state, queued }: Broadcast): boolean {
  return state !== 'running' && state !== 'paused' && queued === 0;
}

function keyed<Body>(body: Body, { idempotencyKey = crypto.randomUUID() }: SendOptions) {
  return { body, headers: { 'idempotency-key': idempotencyKey }, isRepeatable: true };
}

function uploading(app: string, type: string, body: UploadBody) {
  const raw = { type, body: body as NonNullable<RequestInit['body']> };
  return { query: { app }, raw, timeoutMs: 0 };
}

/** The data of server-sent events (WHATWG HTML, section 9.2), as they come. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split('\n\n');
    text = events.pop()!;
    for (const event of events) {
      const data = event.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []));
      if (data.length > 0) yield data.join('\n');
    }
  }
}
