import {
  connectionPreface,
  encodeFrame,
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeSettingsAck,
  encodeWindowUpdate,
  FrameFlag,
  FrameType,
  HpackDecoder,
  Http2FrameReader,
  literalLength,
  SettingId,
  writeLiteralField,
} from '@pushfleet/apns-wire/http2';
import { ChunkPool } from '../src/socket/chunk-pool.ts';
import type { FrameSocket, GatewaySocketEvents, OpenSocket } from '../src/socket/gateway-socket.ts';

/**
 * An HTTP/2 gateway without a network: every step that network, kernel and gateway take is a call, so that a test
 * decides on the order of them. It answers as `docs/protocol/http2.md#answers` says.
 */
export class FakeHttp2Gateway {
  readonly sockets: FakeHttp2Socket[] = [];
  /** How often each token was taken. */
  readonly taken = new Map<string, number>();
  /** Tokens that it rejects. */
  readonly invalid = new Set<string>();
  /** Provider tokens that it calls expired, and whether it dislikes all. */
  readonly expired = new Set<string>();
  refusesCredential = false;
  /** Topics that it refuses. */
  readonly refusedTopics = new Set<string>();
  /** Streams that it allows at first. */
  firstLimit = 100;
  /** What a client did that the protocol forbids. */
  readonly breaches: string[] = [];

  readonly openSocket: OpenSocket<FakeHttp2Socket> = (_, events) => {
    const socket = new FakeHttp2Socket(this, events);
    this.sockets.push(socket);
    return socket;
  };

  /** Sockets that are not over. */
  get live(): FakeHttp2Socket[] {
    return this.sockets.filter((socket) => !socket.isOver);
  }

  /** Everything goes its way, on every connection. */
  flow(): void {
    for (const socket of this.live) socket.flow();
  }
}

interface PendingWrite {
  /** What is written: of a chunk, only once the kernel takes it. */
  readonly bytes: () => Buffer;
  readonly taken: () => void;
  readonly dropped: () => void;
}

/**
 * How a connection serves: `silent` answers no request though it answers PINGs, `ailing` answers 500, and behind
 * `strange` a proxy answers 403 with words of its own.
 */
export type Service = 'well' | 'silent' | 'ailing' | 'strange';

interface Request {
  readonly streamId: number;
  readonly token: string;
  readonly topic: string;
  readonly authorization: string;
}

export class FakeHttp2Socket implements FrameSocket {
  isOver = false;
  isOpen = false;
  service: Service = 'well';
  readonly waitingBytes = 0;
  readonly #gateway: FakeHttp2Gateway;
  readonly #events: GatewaySocketEvents;
  readonly #frames = new Http2FrameReader();
  readonly #hpack = new HpackDecoder();
  #greeting = connectionPreface.length;
  #writes: PendingWrite[] = [];
  /** On its way to the gateway. */
  #upstream: Buffer[] = [];
  /** On its way to the client. */
  #downstream: Buffer = Buffer.alloc(0);
  #endsAfterDownstream = false;
  #isDeaf = false;
  #canWrite = true;
  /** Requests whose head has come, by stream. */
  readonly #begun = new Map<number, Request>();
  /** Complete, and not looked at yet. */
  #waiting: Request[] = [];
  #lastProcessed = 0;
  #lastAllowed = Number.POSITIVE_INFINITY;
  /** Limits that the client has been told, and the one that it has acknowledged. */
  #limits: number[] = [];
  #limit = 100;

  constructor(gateway: FakeHttp2Gateway, events: GatewaySocketEvents) {
    this.#gateway = gateway;
    this.#events = events;
  }

  write(chunk: Buffer, length: number, taken: () => void): void {
    if (this.isOver || !this.isOpen) throw new Error('written on a connection that is not open');
    if (!this.#canWrite) {
      ChunkPool.give(chunk);
      return;
    }
    this.#writes.push({
      bytes: () => chunk.subarray(0, length),
      taken: () => {
        ChunkPool.give(chunk);
        taken();
      },
      dropped: () => ChunkPool.give(chunk),
    });
  }

  control(bytes: Buffer): void {
    if (this.isOver || !this.isOpen) throw new Error('written on a connection that is not open');
    if (this.#canWrite)
      this.#writes.push({ bytes: () => bytes, taken: () => undefined, dropped: () => undefined });
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.isOver = true;
    for (const { dropped } of this.#writes.splice(0)) dropped();
    // What the kernel has goes out all the same; the gateway takes it until it notices.
    this.read();
    while (this.#waiting.length > 0) this.answer();
  }

  /** Complete requests that it has not looked at. */
  get waiting(): number {
    return this.#waiting.length;
  }

  accept(): void {
    if (this.isOver || this.isOpen) return;
    this.isOpen = true;
    this.limit(this.#gateway.firstLimit);
    this.#events.opened(false);
  }

  /** The kernel takes the oldest write. Only then are the bytes read: until then the chunk must stay as it is. */
  take(): void {
    const write = this.#writes.shift();
    if (write === undefined) return;
    this.#upstream.push(Buffer.from(write.bytes()));
    write.taken();
  }

  /** The kernel takes every write. */
  takeAll(): void {
    while (this.#writes.length > 0) this.take();
  }

  /** The gateway reads what has come in. */
  read(): void {
    for (const bytes of this.#upstream.splice(0)) {
      const skipped = Math.min(this.#greeting, bytes.length);
      this.#greeting -= skipped;
      this.#frames.push(bytes.subarray(skipped));
      while (this.#frames.next()) this.#handle();
    }
  }

  /** The gateway answers the request that has waited longest. */
  answer(): void {
    const request = this.#next();
    if (request === undefined) return;
    const { streamId, token, topic, authorization } = request;
    const { refusesCredential, refusedTopics, expired, invalid } = this.#gateway;
    if (this.service === 'silent') {
      if (streamId % 4 === 1) this.#count(token);
    } else if (this.service === 'ailing') this.#refuse(streamId, 500, 'InternalServerError');
    else if (this.service === 'strange') this.#refuse(streamId, 403, undefined);
    else if (refusedTopics.has(topic)) this.#refuse(streamId, 400, 'TopicDisallowed');
    else if (refusesCredential) this.#refuse(streamId, 403, 'InvalidProviderToken');
    else if (expired.has(authorization)) this.#refuse(streamId, 403, 'ExpiredProviderToken');
    else if (/^0+$/.test(token) || invalid.has(token)) this.#refuse(streamId, 400, 'BadDeviceToken');
    else {
      this.#count(token);
      this.#say(encodeFrame(FrameType.headers, 5, streamId, Buffer.of(0x88)));
    }
  }

  /** It has trouble with the next. */
  fail(): void {
    const request = this.#next();
    if (request !== undefined) this.#refuse(request.streamId, 503, 'ServiceUnavailable');
  }

  /** It takes the next, or not, and never says so. */
  hang(): void {
    const request = this.#next();
    if (request !== undefined && request.streamId % 4 === 1) this.#count(request.token);
  }

  /** It resets the next, which it has not looked at. */
  refuse(): void {
    const request = this.#next();
    if (request !== undefined) this.#say(encodeRstStream(request.streamId, 7));
  }

  /** It resets the next, whatever it has done about it. */
  resetStream(): void {
    const request = this.#next();
    if (request === undefined) return;
    if (request.streamId % 4 === 1) this.#count(request.token);
    this.#say(encodeRstStream(request.streamId, 2));
  }

  /** It will look at nothing new. */
  goAway(): void {
    if (!this.isOpen || this.#lastAllowed < Number.POSITIVE_INFINITY) return;
    this.#lastAllowed = this.#lastProcessed;
    this.#waiting = [];
    this.#say(encodeGoAway(this.#lastProcessed, 0, '{"reason":"Shutdown"}'));
  }

  ping(): void {
    if (this.isOpen) this.#say(encodePing(Buffer.alloc(8, 1)));
  }

  /** It answers no PING any more. */
  deafen(): void {
    this.#isDeaf = true;
  }

  limit(streams: number): void {
    if (!this.isOpen) return;
    this.#limits.push(streams);
    this.#say(encodeSettings([[SettingId.maxConcurrentStreams, streams]]));
  }

  narrow(window: number): void {
    if (!this.isOpen) return;
    this.#limits.push(this.#limits.at(-1) ?? this.#limit);
    this.#say(encodeSettings([[SettingId.initialWindowSize, window]]));
  }

  /** The client receives the next bytes, and the end after the last of them. */
  deliver(bytes = Number.POSITIVE_INFINITY): void {
    if (this.isOver || !this.isOpen) return;
    const next = this.#downstream.subarray(0, Math.min(bytes, this.#downstream.length));
    this.#downstream = this.#downstream.subarray(next.length);
    if (next.length > 0) this.#events.received(Buffer.from(next));
    if (this.#downstream.length === 0 && this.#endsAfterDownstream && !this.isOver) {
      this.isOver = true;
      this.#events.ended();
    }
  }

  flow(): void {
    this.accept();
    this.takeAll();
    this.read();
    while (this.#waiting.length > 0) this.answer();
    this.deliver();
  }

  /** The gateway sends what the protocol forbids. */
  babble(): void {
    this.#say(encodeRstStream(99_999, 0));
  }

  /** The gateway closes without a word. */
  close(): void {
    this.#waiting = [];
    this.#lastAllowed = 0;
    this.#endsAfterDownstream = true;
  }

  /** The connection breaks: what is on its way is lost, in both directions. */
  break(code = 'ECONNRESET'): void {
    if (this.isOver) return;
    this.#lose();
    this.isOver = true;
    this.#events.failed(Object.assign(new Error(`read ${code}`), { code, syscall: 'read' }));
  }

  /** A write fails: what has not been read is lost, but what the gateway has said may still come in. */
  failWrites(): void {
    if (this.isOver || !this.isOpen || !this.#canWrite) return;
    this.#canWrite = false;
    this.#upstream = [];
    for (const { dropped } of this.#writes.splice(0)) dropped();
    this.close();
    this.#events.writeFailed(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
  }

  #handle(): void {
    const frame = this.#frames;
    const { streamId } = frame;
    switch (frame.type) {
      case FrameType.headers: {
        const fields = new Map<string, string>();
        this.#hpack.decode(frame.bytes, frame.start, frame.end, (name, value) => fields.set(name, value));
        const open = this.#begun.size + this.#waiting.length;
        if (open >= this.#limit)
          this.#gateway.breaches.push(`stream ${streamId} with ${open} of ${this.#limit} open`);
        this.#begun.set(streamId, {
          streamId,
          token: fields.get(':path')!.slice('/3/device/'.length),
          topic: fields.get('apns-topic')!,
          authorization: fields.get('authorization')!,
        });
        return;
      }
      case FrameType.data: {
        if (frame.flowLength > 0) this.#say(encodeWindowUpdate(0, frame.flowLength));
        const request = this.#begun.get(streamId);
        if (!frame.hasEndStream) {
          this.#say(encodeWindowUpdate(streamId, Math.max(1, frame.flowLength)));
          return;
        }
        this.#begun.delete(streamId);
        if (request !== undefined && streamId <= this.#lastAllowed) this.#waiting.push(request);
        return;
      }
      case FrameType.settings:
        if ((frame.flags & FrameFlag.ack) === 0) this.#say(encodeSettingsAck());
        else this.#limit = this.#limits.shift() ?? this.#limit;
        return;
      case FrameType.ping:
        if ((frame.flags & FrameFlag.ack) === 0 && !this.#isDeaf)
          this.#say(encodePing(Buffer.alloc(8), 'ack'));
        return;
      case FrameType.rstStream:
        this.#begun.delete(streamId);
        this.#waiting = this.#waiting.filter((request) => request.streamId !== streamId);
        return;
      default:
    }
  }

  #next(): Request | undefined {
    const request = this.#waiting.shift();
    if (request !== undefined) this.#lastProcessed = Math.max(this.#lastProcessed, request.streamId);
    return request;
  }

  /** @param reason undefined: the answer is not the gateway's own */
  #refuse(streamId: number, status: number, reason: string | undefined): void {
    const field = { name: 8, value: String(status), indexing: 'without' } as const;
    const head = Buffer.alloc(literalLength(field));
    writeLiteralField(head, 0, field);
    this.#say(encodeFrame(FrameType.headers, FrameFlag.endHeaders, streamId, head));
    const body = reason === undefined ? '<html>Forbidden</html>' : JSON.stringify({ reason });
    this.#say(encodeFrame(FrameType.data, FrameFlag.endStream, streamId, Buffer.from(body)));
  }

  #say(bytes: Buffer): void {
    this.#downstream = Buffer.concat([this.#downstream, bytes]);
  }

  #count(token: string): void {
    const { taken } = this.#gateway;
    taken.set(token, (taken.get(token) ?? 0) + 1);
  }

  #lose(): void {
    this.#upstream = [];
    this.#waiting = [];
    this.#downstream = Buffer.alloc(0);
    for (const { dropped } of this.#writes.splice(0)) dropped();
  }
}
