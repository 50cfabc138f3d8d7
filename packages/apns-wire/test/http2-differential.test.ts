import { once } from 'node:events';
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  encodePreface,
  encodeSettings,
  encodeSettingsAck,
  FrameFlag,
  FrameType,
  HpackDecoder,
  Http2FrameReader,
  RequestEncoder,
  SettingId,
} from '../src/http2/index.ts';

// node:http2 (nghttp2) is the reference: what it encodes, with its dynamic table and Huffman coding, we must decode;
// what we encode, it must understand. In clear text, so that our bytes meet its parser directly.

interface Exchange {
  readonly answer: readonly [string, string][];
  readonly body: string;
}

let server: Http2Server;
/** What the server is to answer to the next requests, and what it saw of them. */
const toAnswer: Exchange[] = [];
const seen: { headers: IncomingHttpHeaders; body: string }[] = [];

beforeAll(async () => {
  server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const { answer, body } = toAnswer.shift()!;
      seen.push({ headers, body: Buffer.concat(chunks).toString() });
      stream.respond(Object.fromEntries(answer));
      stream.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

/** A bare client of our frames: sends one request, gives the answer. */
class Client {
  readonly #socket: Socket;
  readonly #decoder = new HpackDecoder();
  readonly #reader = new Http2FrameReader();
  readonly #encoder = new RequestEncoder('127.0.0.1');
  readonly #chunkLength: number;
  #streamId = 1;
  #fields: [string, string][] = [];
  #body: Buffer[] = [];
  #answered: ((answer: { fields: [string, string][]; body: string }) => void) | undefined;
  #acknowledged: (() => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  constructor(socket: Socket, chunkLength: number) {
    this.#socket = socket;
    this.#chunkLength = chunkLength;
    socket.write(encodePreface([]));
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += this.#chunkLength) {
        try {
          this.#read(chunk.subarray(at, at + this.#chunkLength));
        } catch (error) {
          this.#failed?.(error);
        }
      }
    });
    socket.on('error', (error) => this.#failed?.(error));
    socket.on('close', () => this.#failed?.(new Error('closed')));
  }

  static async open(chunkLength: number): Promise<Client> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    return new Client(socket, chunkLength);
  }

  /** Changes the size of our table, and waits for the acknowledgement. */
  async setTableSize(bytes: number): Promise<void> {
    const acknowledged = new Promise<void>((resolve, reject) => {
      this.#acknowledged = resolve;
      this.#failed = reject;
    });
    this.#socket.write(encodeSettings([[SettingId.headerTableSize, bytes]]));
    await acknowledged;
    this.#decoder.setMaxTableBytes(bytes);
  }

  async request(payload: string): Promise<{ fields: [string, string][]; body: string }> {
    const bytes = Buffer.from(payload);
    const columns = {
      count: 1,
      tokens: Buffer.alloc(32, 0xab),
      tokenOffsets: Uint32Array.of(0, 32),
      payloads: bytes,
      payloadOffsets: Uint32Array.of(0, bytes.length),
      payloadOf: Uint16Array.of(0),
      expirations: Uint32Array.of(7),
      priorities: Uint8Array.of(5),
    };
    const headers = {
      authorization: 'bearer a.b.c',
      topic: () => 'com.example.shop',
      pushType: () => 'background',
      collapseId: () => 'x',
      apnsId: () => '019a0000-0000-7000-8000-000000000001',
    };
    const target = Buffer.alloc(65_536);
    const end = this.#encoder.encode(target, 0, columns, headers, 0, 1, this.#streamId, 60_000, 60_000);
    this.#streamId += 2;
    const answer = new Promise<{ fields: [string, string][]; body: string }>((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
    });
    this.#socket.write(target.subarray(0, end));
    return answer;
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const reader = this.#reader;
    reader.push(chunk);
    while (reader.next()) {
      if (reader.type === FrameType.settings) {
        if ((reader.flags & FrameFlag.ack) === 0) this.#socket.write(encodeSettingsAck());
        else if (this.#acknowledged !== undefined) this.#acknowledged();
      } else if (reader.type === FrameType.headers) {
        this.#fields = [];
        this.#decoder.decode(reader.bytes, reader.start, reader.end, (name, value) =>
          this.#fields.push([name, value]),
        );
        this.#body = [];
      } else if (reader.type === FrameType.data) {
        this.#body.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)));
      } else continue;
      if (reader.type !== FrameType.settings && reader.hasEndStream) {
        this.#answered?.({ fields: this.#fields, body: Buffer.concat(this.#body).toString() });
      }
    }
  }
}

const name = fc.stringMatching(/^x-[a-z0-9]{1,12}$/);
const value = fc.stringMatching(/^([!-~]([ -~]{0,80}[!-~])?)?$/);
const exchange = fc.record({
  answer: fc.uniqueArray(
    fc.tuple(fc.oneof(name, fc.constantFrom('server', 'apns-id', 'retry-after')), value),
    {
      selector: ([name]) => name,
      maxLength: 12,
    },
  ),
  body: fc.string({ maxLength: 300 }),
  tableSize: fc.option(fc.constantFrom(0, 64, 200, 4_096, 65_536), { freq: 4 }),
});

test('answers that node:http2 encodes are decoded, whatever the table and the split; it understands our requests', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(exchange, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(1, 7, 100_000),
      async (exchanges, chunkLength) => {
        const client = await Client.open(chunkLength);
        try {
          for (const { answer, body, tableSize } of exchanges) {
            if (tableSize !== null) await client.setTableSize(tableSize);
            toAnswer.push({ answer, body });
            const { fields, body: received } = await client.request('{"aps":{}}');
            const own = fields.filter(([name]) => !['date', 'content-length'].includes(name));
            expect(own).toEqual([[':status', '200'], ...answer]);
            expect(received).toBe(body);
            expect(seen.pop()).toMatchObject({
              body: '{"aps":{}}',
              headers: {
                ':method': 'POST',
                ':scheme': 'https',
                ':authority': '127.0.0.1',
                ':path': `/3/device/${'ab'.repeat(32)}`,
                authorization: 'bearer a.b.c',
                'apns-topic': 'com.example.shop',
                'apns-push-type': 'background',
                'apns-expiration': '7',
                'apns-priority': '5',
                'apns-collapse-id': 'x',
                'apns-id': '019a0000-0000-7000-8000-000000000001',
              },
            });
          }
        } finally {
          client.close();
        }
      },
    ),
    { numRuns: 100 },
  );
}, 60_000);

test('a header block over one frame comes in CONTINUATIONs, and is decoded', async () => {
  const client = await Client.open(1_000);
  const answer = Array.from({ length: 5 }, (_, n): [string, string] => [`x-${n}`, '\\'.repeat(9_000)]);
  toAnswer.push({ answer, body: 'end' });
  const { fields, body } = await client.request('{}');
  expect(fields.filter(([name]) => name.startsWith('x-'))).toEqual(answer);
  expect(body).toBe('end');
  client.close();
});

test('every octet survives Huffman coding as node:http2 does it', async () => {
  const client = await Client.open(100_000);
  // Long runs of printable text and few rare octets, so that Huffman coding is the shorter.
  for (let octet = 0x21; octet <= 0xff; octet++) {
    if (octet === 0x7f) continue;
    const text = `${'e'.repeat(20)}${String.fromCharCode(octet)}${'o'.repeat(20)}`;
    toAnswer.push({ answer: [['x-octet', text]], body: '' });
    const { fields } = await client.request('{}');
    expect(Object.fromEntries(fields)['x-octet']).toBe(text);
  }
  client.close();
});

test('sensitive headers reach node:http2 as never indexed', async () => {
  const sessions: ServerHttp2Session[] = [];
  server.once('session', (session) => sessions.push(session));
  const client = await Client.open(100_000);
  toAnswer.push({ answer: [], body: '' });
  let sensitive: unknown;
  server.once('stream', (_stream: ServerHttp2Stream, headers) => {
    const symbol = Object.getOwnPropertySymbols(headers).find(
      ({ description }) => description === 'sensitiveHeaders',
    );
    sensitive = symbol === undefined ? undefined : (headers as Record<symbol, unknown>)[symbol];
  });
  await client.request('{}');
  client.close();
  expect(sensitive).toEqual([':path', 'authorization']);
});
