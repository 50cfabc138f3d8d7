import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { CutMode } from '../fault-proxy/toxics.ts';
import { createRandom } from '../generators.ts';
import { DelayedPipe, type PipeFigures } from './delayed-pipe.ts';
import { Wire, type WireSettings } from './wire.ts';

/** What a line has carried since it was opened. */
export interface LineFigures {
  /** Connections that it has taken, and those that are open. */
  readonly accepted: number;
  readonly open: number;
  /** From the client to the target. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Most bytes that were under way on one connection, one way. */
  readonly mostQueued: number;
  /** Processor time of its process, user and system, seconds. */
  readonly cpuSeconds: number;
}

export interface LineSettings extends WireSettings {
  /** Nothing moves either way, as on a black hole; what is under way comes out afterwards. */
  readonly isStalled: boolean;
}

export interface LineOptions {
  readonly targetPort: number;
  /** Bytes that may be under way on one connection, one way: at least what it carries in its delay. */
  readonly maxBytes: number;
  readonly seed: number;
}

/** What a socket may hold that its kernel has not taken. */
const highWaterMark = 1024 * 1024;
const socketOptions = { allowHalfOpen: true, noDelay: true, highWaterMark };

/** A TCP relay that stands for a distance: what goes in at one end comes out at the other later, in order. */
export class Line {
  readonly #server: Server;
  readonly #options: LineOptions;
  readonly #up: Wire;
  readonly #down: Wire;
  readonly #sockets = new Set<Socket>();
  readonly #under = new Set<DelayedPipe>();
  readonly #figuresUp: PipeFigures = { bytes: 0, mostQueued: 0 };
  readonly #figuresDown: PipeFigures = { bytes: 0, mostQueued: 0 };
  #timer: NodeJS.Timeout | undefined;
  #accepted = 0;

  private constructor(server: Server, options: LineOptions) {
    this.#server = server;
    this.#options = options;
    const random = createRandom(options.seed);
    this.#up = new Wire(random);
    this.#down = new Wire(random);
    server.on('connection', (client: Socket) => this.#accept(client));
  }

  static async open(options: LineOptions): Promise<Line> {
    const server = createServer(socketOptions);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Line(server, options);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get figures(): LineFigures {
    const { user, system } = process.cpuUsage();
    return {
      accepted: this.#accepted,
      open: this.#sockets.size / 2,
      bytesUp: this.#figuresUp.bytes,
      bytesDown: this.#figuresDown.bytes,
      mostQueued: Math.max(this.#figuresUp.mostQueued, this.#figuresDown.mostQueued),
      cpuSeconds: (user + system) / 1e6,
    };
  }

  /** Changes both ways; what is under way keeps its time. */
  set({ isStalled, ...settings }: Partial<LineSettings>): void {
    for (const wire of [this.#up, this.#down]) {
      wire.set(settings);
      if (isStalled !== undefined) wire.isStalled = isStalled;
    }
  }

  /** Ends the connections there are. `close`: FIN both ways; `reset`: RST, and what is under way is lost. */
  cut(how: CutMode): void {
    for (const socket of this.#sockets) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(client: Socket): void {
    this.#accepted++;
    // Node.js hands the mark on to the stream, and its types do not say so.
    const options = { host: '127.0.0.1', port: this.#options.targetPort, ...socketOptions };
    const target = connect(options);
    this.#join(client, target);
    this.#join(target, client);
    const schedule = (pipe: DelayedPipe): void => this.#schedule(pipe);
    const { maxBytes } = this.#options;
    const common = { maxBytes, schedule };
    new DelayedPipe({ ...common, source: client, sink: target, wire: this.#up, figures: this.#figuresUp });
    new DelayedPipe({
      ...common,
      source: target,
      sink: client,
      wire: this.#down,
      figures: this.#figuresDown,
    });
  }

  /** An end that breaks breaks the other one. */
  #join(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => other.resetAndDestroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      // After both ends have said goodbye there is nothing to break.
      if (!socket.readableEnded) other.destroy();
    });
  }

  #schedule(pipe: DelayedPipe): void {
    this.#under.add(pipe);
    this.#timer ??= setTimeout(this.#tick, 1);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const pipe of this.#under) if (!pipe.flush(nowMs)) this.#under.delete(pipe);
    if (this.#under.size > 0) this.#timer ??= setTimeout(this.#tick, 1);
  };
}
