import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameGate } from '../src/http2/frame-gate.ts';

// RFC 9113, typed from its pictures: length u24 · type u8 · flags u8 · stream u32 · payload.

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  return Buffer.concat([header, payload]);
}

const ping = frame(6, 0, Buffer.from('12345678'));
const pingAck = frame(6, 1, Buffer.from('12345678'));

/** What a gate passes on of these chunks. */
async function passedOn(chunks: readonly Buffer[], dropsPing: boolean): Promise<Buffer> {
  // Not a TLS connection, but as much of one as the gate uses.
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const gate = new FrameGate(socket as TLSSocket, {
    lingerMs: 1_000,
    dropsPing: () => dropsPing,
    onChunk: () => undefined,
  });
  const passed: Buffer[] = [];
  gate.on('data', (chunk: Buffer) => passed.push(chunk));
  for (const chunk of chunks) {
    socket.push(chunk);
    await nextTurn();
  }
  gate.destroy();
  return Buffer.concat(passed);
}

/** Cuts bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

const frames = fc.array(
  fc.oneof(
    fc.constant(ping),
    fc.constant(pingAck),
    fc
      .record({ type: fc.constantFrom(0, 1, 3, 4, 8), payload: fc.uint8Array({ maxLength: 40 }) })
      .map(({ type, payload }) => frame(type, 0, Buffer.from(payload))),
  ),
  { maxLength: 8 },
);

test('PINGs are taken away at any split, and nothing else is; acknowledgements pass', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 6 }), async (all, places) => {
      const bytes = Buffer.concat([preface, ...all]);
      const expected = Buffer.concat([preface, ...all.filter((each) => each !== ping)]);
      expect((await passedOn(cut(bytes, places), true)).equals(expected)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('where no PING is dropped every byte passes at any split', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(), { maxLength: 6 }), async (all, places) => {
      const bytes = Buffer.concat([preface, ...all]);
      expect((await passedOn(cut(bytes, places), false)).equals(bytes)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('the beginning of a frame is kept back only as long as it may be a PING', async () => {
  const header = ping.subarray(0, 9);
  expect((await passedOn([preface, header], true)).equals(preface)).toBe(true);
  expect(
    (await passedOn([preface, header, ping.subarray(9)], false)).equals(Buffer.concat([preface, ping])),
  ).toBe(true);
});
