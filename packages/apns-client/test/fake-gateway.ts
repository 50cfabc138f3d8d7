import { ErrorStatus, encodeErrorResponse, NotificationDecoder } from '@pushfleet/apns-wire';
import { ChunkPool } from '../src/socket/chunk-pool.ts';
import type { GatewaySocket, GatewaySocketEvents, OpenSocket } from '../src/socket/gateway-socket.ts';

/**
 * A gateway without a network: every step that network, kernel and gateway take is a call, so that a test decides on
 * the order of them. It takes notifications as `docs/protocol/binary.md#silence` says.
 */
export class FakeGateway {
  /**
   * What it does with a frame, the known-bad one included (its token is empty): `hang-up` closes without a word, with or
   * without having taken it; undefined: as usual.
   */
  manner: (token: string, socket: FakeSocket) => 'hang-up' | 'take-and-hang-up' | 'ignore' | undefined = () =>
    undefined;
  readonly sockets: FakeSocket[] = [];
  /** How often each token was taken. */
  readonly taken = new Map<string, number>();
  /** Tokens that it rejects. */
  readonly invalid = new Set<string>();
  /** What one connection took out of the order of its run. */
  readonly misordered: string[] = [];
  /** Run and position of a token. */
  readonly places = new Map<string, { readonly run: number; readonly position: number }>();

  readonly openSocket: OpenSocket<FakeSocket> = (_, events) => {
    const socket = new FakeSocket(this, events);
    this.sockets.push(socket);
    return socket;
  };

  /** Sockets that are not over. */
  get live(): FakeSocket[] {
    return this.sockets.filter((socket) => !socket.isOver);
  }

  /** Everything goes its way, on every connection. */
  flow(): void {
    for (const socket of this.live) socket.flow();
  }
}

interface PendingWrite {
  readonly chunk: Buffer;
  readonly length: number;
  readonly taken: () => void;
}

export class FakeSocket implements GatewaySocket {
  isOver = false;
  isOpen = false;
  /** Notifications that the gateway took on it. */
  taken = 0;
  readonly #gateway: FakeGateway;
  readonly #events: GatewaySocketEvents;
  readonly #decoder = new NotificationDecoder();
  #writes: PendingWrite[] = [];
  /** On its way to the gateway. */
  #upstream: Buffer[] = [];
  /** On its way to the client. */
  #downstream: Buffer = Buffer.alloc(0);
  #endsAfterDownstream = false;
  #lastIdentifier = 0;
  /** The gateway has said its last word, and discards what still comes. */
  #isDiscarding = false;
  #canWrite = true;
  #nextStatus: number | undefined;
  /** The last position taken of each run. */
  readonly #lastOf = new Map<number, number>();

  constructor(gateway: FakeGateway, events: GatewaySocketEvents) {
    this.#gateway = gateway;
    this.#events = events;
  }

  write(chunk: Buffer, length: number, taken: () => void): void {
    if (this.isOver || !this.isOpen) throw new Error('written on a connection that is not open');
    if (this.#canWrite) this.#writes.push({ chunk, length, taken });
    else ChunkPool.give(chunk);
  }

  destroy(): void {
    this.isOver = true;
    this.#dropWrites();
    // What the kernel has goes out all the same; the gateway reads it until it notices.
    this.read();
  }

  accept(): void {
    if (this.isOver || this.isOpen) return;
    this.isOpen = true;
    this.#events.opened(false);
  }

  /** The kernel takes the oldest write. Only then are the bytes read: until then the chunk must stay as it is. */
  take(): void {
    const write = this.#writes.shift();
    if (write === undefined) return;
    this.#upstream.push(Buffer.from(write.chunk.subarray(0, write.length)));
    ChunkPool.give(write.chunk);
    write.taken();
  }

  /** The gateway reads what has come in. */
  read(): void {
    for (const bytes of this.#upstream.splice(0)) {
      this.#decoder.push(bytes);
      while (this.#decoder.next()) this.#handle();
    }
  }

  /** The client receives the next bytes, and the end after the last of them. */
  deliver(bytes = Number.POSITIVE_INFINITY): void {
    if (this.isOver) return;
    const next = this.#downstream.subarray(0, Math.min(bytes, this.#downstream.length));
    this.#downstream = this.#downstream.subarray(next.length);
    if (next.length > 0) this.#events.received(next);
    if (this.#downstream.length === 0 && this.#endsAfterDownstream && !this.isOver) this.#events.ended();
  }

  flow(): void {
    this.accept();
    while (this.#writes.length > 0) this.take();
    this.read();
    this.deliver();
  }

  /** The gateway ends it with an error response; identifier 0 where it does not say which. */
  say(status: number, identifier: number): void {
    if (this.#isDiscarding) return;
    this.#isDiscarding = true;
    this.#downstream = encodeErrorResponse({ status, identifier });
    this.#endsAfterDownstream = true;
  }

  /** The next notification gets an error response, whatever it is. */
  refuseNext(status: number): void {
    this.#nextStatus = status;
  }

  shutDown(): void {
    this.say(ErrorStatus.shutdown, this.#lastIdentifier);
  }

  /** The gateway sends what is no error response. */
  babble(bytes: Uint8Array): void {
    this.#downstream = Buffer.from(bytes);
  }

  /** The gateway closes without a word. */
  close(): void {
    this.#isDiscarding = true;
    this.#endsAfterDownstream = true;
  }

  /** The connection breaks: what is on its way is lost, in both directions. */
  break(code = 'ECONNRESET'): void {
    if (this.isOver) return;
    this.#lose();
    this.#events.failed(Object.assign(new Error(`read ${code}`), { code, syscall: 'read' }));
  }

  /** A write fails: what has not been read is lost, but what the gateway has said may still come in. */
  failWrites(): void {
    if (this.isOver || !this.isOpen) return;
    this.#canWrite = false;
    this.#upstream = [];
    this.#dropWrites();
    this.close();
    this.#events.writeFailed(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
  }

  #handle(): void {
    const { bytes, tokenStart, tokenLength, identifier, defect } = this.#decoder;
    if (this.#isDiscarding) return;
    const token = Buffer.from(bytes.subarray(tokenStart, tokenStart + tokenLength)).toString('hex');
    const manner = this.#gateway.manner(token, this);
    if (manner === 'take-and-hang-up' && token !== '') this.#count(token);
    if (manner === 'hang-up' || manner === 'take-and-hang-up') this.close();
    if (manner !== undefined) return;
    if (defect !== null) this.say(ErrorStatus.missingDeviceToken, identifier);
    else if (this.#nextStatus !== undefined) {
      // Status 0 says that nothing is wrong with the one it names.
      if (this.#nextStatus === ErrorStatus.noErrors) this.#count(token);
      this.say(this.#nextStatus, identifier);
    } else if (this.#gateway.invalid.has(token)) this.say(ErrorStatus.invalidToken, identifier);
    else {
      this.#lastIdentifier = identifier;
      this.#count(token);
    }
  }

  #count(token: string): void {
    this.taken += 1;
    const { taken, places, misordered } = this.#gateway;
    taken.set(token, (taken.get(token) ?? 0) + 1);
    const place = places.get(token);
    if (place === undefined) return;
    if ((this.#lastOf.get(place.run) ?? -1) >= place.position) misordered.push(JSON.stringify(place));
    this.#lastOf.set(place.run, place.position);
  }

  #lose(): void {
    this.#upstream = [];
    this.#downstream = Buffer.alloc(0);
    this.#dropWrites();
  }

  #dropWrites(): void {
    for (const { chunk } of this.#writes.splice(0)) ChunkPool.give(chunk);
  }
}
