import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BinaryNotification,
  Command,
  defectStatus,
  encodeKnownBadFrame,
  encodeNotification,
  frameLength,
  maxDeviceTokenBytes,
  maxPayloadBytes,
  type NotificationCommand,
  NotificationDecoder,
} from '../src/index.ts';
import { type Codec, hex, splitAt, testDecodeCase, testWireCase } from './wire-case.ts';

const token = hex('00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0');
const payload = Buffer.from('{"aps":{"badge":1}}');
const payloadHex = '7b22617073223a7b226261646765223a317d7d';

function decodeAll(chunks: readonly Uint8Array[]) {
  const decoder = new NotificationDecoder();
  const frames: (BinaryNotification & { defect: string | null; status: number | null })[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    while (decoder.next()) {
      const { defect } = decoder;
      frames.push({
        ...decoder.notification(),
        defect,
        status: defect === null ? null : defectStatus[defect],
      });
    }
  }
  expect(decoder.pendingBytes).toBe(0);
  return frames;
}

const codec: Codec<BinaryNotification> = {
  encode: encodeNotification,
  decode: (chunks) =>
    decodeAll(chunks).map(({ defect, status, ...notification }) => {
      expect(defect).toBeNull();
      expect(status).toBeNull();
      return notification;
    }),
};

describe('golden frames', () => {
  testWireCase(
    'command 0',
    codec,
    { command: 0, token, payload },
    hex(`00                   # command
         0020 ${token.toString('hex')}
         0013 ${payloadHex}`),
  );
  testWireCase(
    'command 1',
    codec,
    { command: 1, identifier: 0x01020304, expiration: 0x5f5e1000, token, payload },
    hex(`01
         01020304             # identifier
         5f5e1000             # expiry, epoch seconds
         0020 ${token.toString('hex')}
         0013 ${payloadHex}`),
  );
  testWireCase(
    'command 2',
    codec,
    { command: 2, token, payload, identifier: 0xfffffffe, expiration: 0, priority: 10 },
    hex(`02
         0000004b             # 35 + 22 + 7 + 7 + 4
         01 0020 ${token.toString('hex')}
         02 0013 ${payloadHex}
         03 0004 fffffffe
         04 0004 00000000
         05 0001 0a`),
  );
  testDecodeCase(
    'command 2 in the order 3, 1, 2, 4, 5',
    codec,
    { command: 2, token, payload, identifier: 7, expiration: 0xffffffff, priority: 5 },
    hex(`02 0000004b
         03 0004 00000007
         01 0020 ${token.toString('hex')}
         02 0013 ${payloadHex}
         04 0004 ffffffff
         05 0001 05`),
  );
  testWireCase(
    'command 2 with nothing but token and payload',
    codec,
    { command: 2, token, payload },
    hex(`02 00000039 01 0020 ${token.toString('hex')} 02 0013 ${payloadHex}`),
  );
  testDecodeCase(
    'command 2 with an item that no source names',
    codec,
    { command: 2, token, payload, priority: 10 },
    hex(`02 00000042
         09 0002 beef
         01 0020 ${token.toString('hex')}
         02 0013 ${payloadHex}
         05 0001 0a`),
  );

  test('the known-bad frame has a zero-length token and is otherwise valid', () => {
    expect(encodeKnownBadFrame(1, 9)).toEqual(hex('01 00000009 00000000 0000 000a 7b22617073223a7b7d7d'));
    expect(encodeKnownBadFrame(2, 9)).toEqual(
      hex(`02 00000022
           01 0000
           02 000a 7b22617073223a7b7d7d
           03 0004 00000009
           04 0004 00000000
           05 0001 05`),
    );
    for (const command of [1, 2] as const) {
      expect(decodeAll([encodeKnownBadFrame(command, 9)])).toMatchObject([
        { identifier: 9, defect: 'missing-token', status: 2 },
      ]);
    }
  });

  test('frame lengths are those of the protocol page', () => {
    expect(frameLength(0, 32, 100)).toBe(37 + 100);
    expect(frameLength(1, 32, 100)).toBe(45 + 100);
    expect(frameLength(2, 32, 100)).toBe(5 + 56 + 100);
  });
});

describe('any frames, split anywhere', () => {
  const anyNotification = fc.constantFrom<NotificationCommand[]>(0, 1, 2).chain((command) =>
    fc.record(
      {
        command: fc.constant(command),
        token: buffer(1, maxDeviceTokenBytes),
        payload: buffer(1, maxPayloadBytes[command]),
        ...(command > 0 ? { identifier: u32(), expiration: u32() } : {}),
        ...(command === 2 ? { priority: fc.constantFrom(5, 10) } : {}),
      },
      {
        requiredKeys: [
          'command',
          'token',
          'payload',
          ...(command === 1 ? ['identifier', 'expiration'] : []),
        ] as never,
      },
    ),
  ) as fc.Arbitrary<BinaryNotification>;

  test('give the same values back', () => {
    fc.assert(
      fc.property(
        fc.array(anyNotification, { maxLength: 8 }),
        fc.array(fc.nat()),
        (notifications, places) => {
          const bytes = Buffer.concat(notifications.map(encodeNotification));
          expect(codec.decode(splitAt(bytes, places))).toEqual(notifications);
        },
      ),
    );
  });

  test('give a prefix of the values and the count of pending bytes when the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(anyNotification, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (notifications, cut) => {
          const frames = notifications.map(encodeNotification);
          const bytes = Buffer.concat(frames);
          const end = cut % bytes.length;
          const decoder = new NotificationDecoder();
          decoder.push(bytes.subarray(0, end));
          let whole = 0;
          let read = 0;
          while (decoder.next()) read += frames[whole++]!.length;
          expect(decoder.pendingBytes).toBe(end - read);
          expect(decoder.pendingBytes).toBeLessThan(frames[whole]!.length);
        },
      ),
    );
  });
});

describe('wrong content is a value with the status that answers it', () => {
  const good = {
    token: `01 0020 ${token.toString('hex')}`,
    payload: `02 0013 ${payloadHex}`,
    identifier: '03 0004 0000002a',
  };
  const framed = (...items: string[]) => {
    const body = hex(items.join(' '));
    const header = Buffer.alloc(5);
    header[0] = 2;
    header.writeUInt32BE(body.length, 1);
    return Buffer.concat([header, body]);
  };
  const long = (id: string, length: number) =>
    `${id} ${length.toString(16).padStart(4, '0')} ${'61'.repeat(length)}`;

  test.each([
    ['no token', framed(good.payload, good.identifier), 'missing-token', 2, 42],
    ['no items at all', framed(), 'missing-token', 2, 0],
    ['a zero-length token', framed('01 0000', good.payload, good.identifier), 'missing-token', 2, 42],
    ['a token of 101 bytes', framed(long('01', 101), good.payload, good.identifier), 'token-too-long', 5, 42],
    ['no payload', framed(good.token, good.identifier), 'missing-payload', 4, 42],
    ['a zero-length payload', framed(good.token, '02 0000', good.identifier), 'missing-payload', 4, 42],
    [
      'a payload of 2049 bytes',
      framed(good.token, long('02', 2049), good.identifier),
      'payload-too-long',
      7,
      42,
    ],
    ['two tokens', framed(good.token, good.token, good.payload, good.identifier), 'repeated-item', 128, 42],
    [
      'two payloads',
      framed(good.identifier, good.token, good.payload, good.payload),
      'repeated-item',
      128,
      42,
    ],
    [
      'two identifiers',
      framed(good.identifier, good.identifier, good.token, good.payload),
      'repeated-item',
      128,
      42,
    ],
    ['an identifier of 3 bytes', framed('03 0003 000001', good.token, good.payload), 'item-length', 128, 0],
    [
      'an expiration of 5 bytes',
      framed('04 0005 0000000001', good.identifier, good.token, good.payload),
      'item-length',
      128,
      42,
    ],
    [
      'a priority of no bytes',
      framed('05 0000', good.identifier, good.token, good.payload),
      'item-length',
      128,
      42,
    ],
    [
      'a priority of 7',
      framed(good.identifier, good.token, good.payload, '05 0001 07'),
      'unknown-priority',
      128,
      42,
    ],
    [
      'an item that overruns the frame',
      framed(good.identifier, good.token, '02 0014 7b7d'),
      'malformed-items',
      128,
      42,
    ],
    [
      'two bytes that make no item',
      framed(good.identifier, good.token, good.payload, '0500'),
      'malformed-items',
      128,
      42,
    ],
    [
      'command 1, a payload of 257 bytes',
      hex(`01 0000002a 00000000 0001 aa 0101 ${'61'.repeat(257)}`),
      'payload-too-long',
      7,
      42,
    ],
    [
      'command 1, a token of 101 bytes',
      hex(`01 0000002a 00000000 0065 ${'61'.repeat(101)} 0001 61`),
      'token-too-long',
      5,
      42,
    ],
    ['command 0, no payload', hex('00 0001 aa 0000'), 'missing-payload', 4, 0],
  ])('%s', (_name, bytes, defect, status, identifier) => {
    const next = encodeNotification({ command: 1, token, payload, identifier: 43, expiration: 0 });
    for (const chunks of [
      [bytes, next],
      [Buffer.concat([bytes, next])],
      [...Array.from(bytes, (byte) => Buffer.of(byte)), next],
    ]) {
      const frames = decodeAll(chunks);
      expect(frames).toHaveLength(2);
      expect(frames[0]).toMatchObject({ defect, status });
      expect(frames[0]!.identifier ?? 0).toBe(identifier);
      expect(frames[1]).toMatchObject({ defect: null, identifier: 43 });
    }
  });
});

describe('wrong framing throws, and the decoder is done', () => {
  test.each([3, 8, 0x16, 255])('command %i', (command) => {
    const decoder = new NotificationDecoder();
    decoder.push(Buffer.concat([encodeNotification({ command: 0, token, payload }), Buffer.of(command)]));
    expect(decoder.next()).toBe(true);
    expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'unknown-command' }));
    expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'unknown-command' }));
  });

  test.each([
    ['command 2', '02 0000fffc', '02 0000fffb', '02 ffffffff'],
    ['command 1', '01 00000000 00000000 fff4', '01 00000000 00000000 fff3', '01 00000000 00000000 ffff'],
  ])('%s with a length over the limit, before anything is gathered', (_name, over, within, farOver) => {
    for (const bytes of [over, farOver]) {
      const decoder = new NotificationDecoder();
      decoder.push(hex(bytes));
      expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'frame-too-long' }));
    }
    const decoder = new NotificationDecoder();
    decoder.push(hex(within));
    expect(decoder.next()).toBe(false);
  });

  test('bytes pushed before the chunk was read to its end are refused, so that no frame is skipped', () => {
    const decoder = new NotificationDecoder();
    decoder.push(encodeNotification({ command: Command.simple, token, payload }));
    expect(() => decoder.push(Buffer.of(0))).toThrow(/before next\(\) gave false/);
  });

  test('random bytes give values, a wait for more, or a typed error, and the same whole or split', () => {
    const run = (chunks: Uint8Array[]) => {
      const decoder = new NotificationDecoder();
      const seen: unknown[] = [];
      try {
        for (const chunk of chunks) {
          decoder.push(chunk);
          while (decoder.next()) seen.push([decoder.notification(), decoder.defect]);
        }
        seen.push(decoder.pendingBytes);
      } catch (error) {
        expect(error).toMatchObject({ name: 'ApnsWireError' });
        seen.push((error as { code: string }).code);
      }
      return seen;
    };
    // Commands and small lengths are made likely, so that frames are reached.
    const likely = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 8), fc.nat(255));
    fc.assert(
      fc.property(fc.array(likely, { maxLength: 200 }), fc.array(fc.nat()), (values, places) => {
        const bytes = Buffer.from(values);
        expect(run(splitAt(bytes, places))).toEqual(run([bytes]));
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a value that does not fit in its field is refused with the name of the field', () => {
  const base = { command: 2, token, payload } as const;
  expect(() => encodeNotification({ ...base, identifier: 2 ** 32 })).toThrow(/^identifier: 4294967296/);
  expect(() => encodeNotification({ ...base, expiration: -1 })).toThrow(/^expiration: -1/);
  expect(() => encodeNotification({ ...base, priority: 1.5 })).toThrow(/^priority: 1.5/);
  expect(() => encodeNotification({ ...base, token: Buffer.alloc(65_536) })).toThrow(
    expect.objectContaining({ code: 'field-out-of-range' }),
  );
});

function buffer(minLength: number, maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes));
}

function u32(): fc.Arbitrary<number> {
  return fc.nat(0xffff_ffff);
}
