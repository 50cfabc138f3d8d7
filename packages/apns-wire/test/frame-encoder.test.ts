import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  advanceIdentifier,
  type BinaryNotification,
  encodedLength,
  encodeNotification,
  FrameEncoder,
  type NotificationColumns,
  type NotificationCommand,
} from '../src/index.ts';

interface Row {
  readonly token: Uint8Array;
  readonly payload: number;
  readonly expiration: number;
  readonly priority: number;
}

function columnsOf(rows: readonly Row[], payloads: readonly Uint8Array[]): NotificationColumns {
  return {
    count: rows.length,
    tokens: Buffer.concat(rows.map((row) => row.token)),
    tokenOffsets: offsets(rows.map((row) => row.token)),
    payloads: Buffer.concat(payloads),
    payloadOffsets: offsets(payloads),
    payloadOf: Uint16Array.from(rows, (row) => row.payload),
    expirations: Uint32Array.from(rows, (row) => row.expiration),
    priorities: Uint8Array.from(rows, (row) => row.priority),
  };
}

function offsets(parts: readonly Uint8Array[]): Uint32Array {
  let end = 0;
  return Uint32Array.from([0, ...parts.map((part) => (end += part.length))]);
}

/** What the run should become, one frame after the other. */
function reference(
  command: NotificationCommand,
  rows: readonly Row[],
  payloads: readonly Uint8Array[],
  first: number,
): Buffer[] {
  return rows.map((row, position) => {
    const notification: BinaryNotification = { command, token: row.token, payload: payloads[row.payload]! };
    if (command === 0) return encodeNotification(notification);
    const identifier = advanceIdentifier(first, position);
    const numbers = { identifier, expiration: row.expiration };
    return encodeNotification({
      ...notification,
      ...numbers,
      ...(command === 2 ? { priority: row.priority } : {}),
    });
  });
}

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
const anyRun = fc.array(bytes(0, 700), { minLength: 1, maxLength: 4 }).chain((payloads) =>
  fc.record({
    payloads: fc.constant(payloads),
    rows: fc.array(
      fc.record({
        token: bytes(0, 100),
        payload: fc.nat(payloads.length - 1),
        expiration: fc.nat(0xffff_ffff),
        priority: fc.constantFrom(5, 10),
      }),
      { maxLength: 12 },
    ),
  }),
);

describe('a run of frames', () => {
  test('is the frames one by one, over as many targets as it takes, across the wrap of identifiers', () => {
    fc.assert(
      fc.property(
        anyRun,
        fc.constantFrom<NotificationCommand[]>(0, 1, 2),
        fc.oneof(
          fc.integer({ min: 1, max: 0xffff_ffff }),
          fc.integer({ min: 0xffff_fff5, max: 0xffff_ffff }),
        ),
        fc.nat(40),
        fc.nat(3_000),
        ({ rows, payloads }, command, first, headroom, extra) => {
          const columns = columnsOf(rows, payloads);
          const frames = reference(command, rows, payloads, first);
          const longest = Math.max(0, ...frames.map((frame) => frame.length));
          const encoder = new FrameEncoder(command);
          const written: Buffer[] = [];
          let position = 0;
          let identifier = first;
          while (position < rows.length) {
            const target = Buffer.alloc(headroom + longest + extra);
            const end = encoder.encode(target, headroom, columns, position, rows.length, identifier);
            expect(encoder.position).toBeGreaterThan(position);
            expect(end - headroom).toBe(encodedLength(command, columns, position, encoder.position));
            expect(target.subarray(0, headroom).every((byte) => byte === 0)).toBe(true);
            expect(target.subarray(end).every((byte) => byte === 0)).toBe(true);
            written.push(target.subarray(headroom, end));
            position = encoder.position;
            identifier = encoder.identifier;
          }
          expect(identifier).toBe(advanceIdentifier(first, rows.length));
          expect(Buffer.concat(written)).toEqual(Buffer.concat(frames));
        },
      ),
    );
  });

  test('writes only the positions asked for', () => {
    const payloads = [Buffer.from('{"aps":{}}')];
    const rows = [1, 2, 3, 4].map((n) => ({
      token: Buffer.alloc(32, n),
      payload: 0,
      expiration: n,
      priority: 10,
    }));
    const target = Buffer.alloc(1_000);
    const encoder = new FrameEncoder(2);
    const end = encoder.encode(target, 0, columnsOf(rows, payloads), 1, 3, 100);
    expect(encoder.position).toBe(3);
    expect(target.subarray(0, end)).toEqual(Buffer.concat(reference(2, rows.slice(1, 3), payloads, 100)));
  });

  test('reads columns that are views into larger memory', () => {
    const payloads = [Buffer.from('{"aps":{"alert":"hello"}}')];
    const rows = [1, 2].map((n) => ({ token: Buffer.alloc(32, n), payload: 0, expiration: 0, priority: 10 }));
    const columns = columnsOf(rows, payloads);
    const memory = new Uint8Array(500);
    memory.set(columns.tokens, 13);
    memory.set(columns.payloads, 201);
    const views = { ...columns, tokens: memory.subarray(13, 77), payloads: memory.subarray(201, 226) };
    const target = Buffer.alloc(1_000).subarray(7);
    const encoder = new FrameEncoder(2);
    const end = encoder.encode(target, 0, views, 0, 2, 1);
    expect(target.subarray(0, end)).toEqual(Buffer.concat(reference(2, rows, payloads, 1)));
  });

  test('a target without room for one frame is left alone', () => {
    const rows = [{ token: Buffer.alloc(32, 1), payload: 0, expiration: 0, priority: 10 }];
    const columns = columnsOf(rows, [Buffer.from('{"aps":{}}')]);
    const encoder = new FrameEncoder(2);
    const target = Buffer.alloc(5 + 56 + 10);
    expect(encoder.encode(target, 1, columns, 0, 1, 1)).toBe(1);
    expect(encoder.position).toBe(0);
    expect(target.every((byte) => byte === 0)).toBe(true);
    expect(encoder.encode(target, 0, columns, 0, 1, 1)).toBe(target.length);
    expect(encoder.position).toBe(1);
  });

  test('a payload that overflows its length field is refused with its position, the frames before it written', () => {
    const good = { token: Buffer.alloc(32, 1), payload: 0, expiration: 0, priority: 10 };
    const payloads = [Buffer.from('{"aps":{}}'), Buffer.alloc(65_536)];
    const columns = columnsOf([good, { ...good, payload: 1 }], payloads);
    const encoder = new FrameEncoder(2);
    const target = Buffer.alloc(100_000);
    expect(() => encoder.encode(target, 0, columns, 0, 2, 1)).toThrow(
      /^payload of the notification at position 1: 65536 bytes/,
    );
    expect(encoder.position).toBe(1);
    expect(target.subarray(0, 71)).toEqual(reference(2, [good], payloads, 1)[0]);
  });
});
