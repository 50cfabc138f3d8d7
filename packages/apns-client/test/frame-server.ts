import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import {
  connectionPreface,
  encodeFrame,
  encodeSettings,
  encodeSettingsAck,
  FrameFlag,
  FrameType,
  Http2FrameReader,
} from '@pushfleet/apns-wire/http2';
import type { TestIdentity } from '@pushfleet/testkit/certificates';

/** A frame that a client has sent. */
export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export interface FrameServerScript {
  /** What the first SETTINGS say. */
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** The same, where connections differ. */
  settingsOf?(connection: number): readonly (readonly [id: number, value: number])[];
  /** Called for every frame but acknowledgements; answers as it likes. `requests` counts complete ones. */
  frame?(frame: SeenFrame, connection: FrameConnection): void;
}

/** One connection of a FrameServer. */
export class FrameConnection {
  readonly number: number;
  readonly socket: TLSSocket;
  readonly frames: SeenFrame[] = [];

  constructor(number: number, socket: TLSSocket) {
    this.number = number;
    this.socket = socket;
  }

  write(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Identifiers of the streams whose requests are complete, in order. */
  get complete(): number[] {
    return this.frames.flatMap(({ type, flags, streamId }) =>
      type === FrameType.data && (flags & FrameFlag.endStream) !== 0 ? [streamId] : [],
    );
  }
}

export interface FrameServer {
  readonly port: number;
  readonly connections: FrameConnection[];
  close(): Promise<void>;
}

/** `:status 200` of the static table, END_STREAM. */
export function ok(streamId: number): Buffer {
  return encodeFrame(
    FrameType.headers,
    FrameFlag.endStream | FrameFlag.endHeaders,
    streamId,
    Buffer.of(0x88),
  );
}

/** Whether the frame completes a request. */
export function isComplete({ type, flags }: SeenFrame): boolean {
  return type === FrameType.data && (flags & FrameFlag.endStream) !== 0;
}

/** A gateway made of frames: for what no implementation of HTTP/2 would do. */
export async function openFrameServer(
  identity: TestIdentity,
  script: FrameServerScript,
): Promise<FrameServer> {
  const connections: FrameConnection[] = [];
  const server = createServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ALPNProtocols: ['h2'],
  });
  server.on('secureConnection', (socket) => {
    const connection = new FrameConnection(connections.length + 1, socket);
    connections.push(connection);
    socket.on('error', () => undefined);
    connection.write(encodeSettings(script.settingsOf?.(connection.number) ?? script.settings ?? []));
    // Reads a client's frames, whose SETTINGS a server may not send: the reader does not know, and need not.
    const reader = new Http2FrameReader();
    let greeting = connectionPreface.length;
    socket.on('data', (chunk: Buffer) => {
      const skipped = Math.min(greeting, chunk.length);
      greeting -= skipped;
      reader.push(chunk.subarray(skipped));
      while (reader.next()) {
        const frame = {
          type: reader.type,
          flags: reader.flags,
          streamId: reader.streamId,
          payload: Buffer.from(reader.bytes.subarray(reader.start, reader.end)),
        };
        if (frame.type === FrameType.settings) {
          if ((frame.flags & FrameFlag.ack) === 0) connection.write(encodeSettingsAck());
          continue;
        }
        connection.frames.push(frame);
        script.frame?.(frame, connection);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close: async () => {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
