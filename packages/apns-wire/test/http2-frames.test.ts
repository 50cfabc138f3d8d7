import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  encodeGoAway,
  encodePing,
  encodePreface,
  encodeRstStream,
  encodeSettings,
  encodeSettingsAck,
  encodeWindowUpdate,
  type FrameReaderOptions,
  FrameType,
  Http2ErrorCode,
  Http2FrameReader,
  Http2WireError,
  http2ErrorName,
  SettingId,
} from '../src/http2/index.ts';
import { hex, splitAt, testDecodeCase } from './wire-case.ts';

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: string;
}

function read(chunks: readonly Uint8Array[], options: FrameReaderOptions = {}): Frame[] {
  const reader = new Http2FrameReader(options);
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    // A copy, so that a reader that keeps the chunk is found out.
    const own = Buffer.from(chunk);
    reader.push(own);
    while (reader.next()) {
      const payload = reader.bytes.toString('hex', reader.start, reader.end);
      frames.push({ type: reader.type, flags: reader.flags, streamId: reader.streamId, payload });
    }
    own.fill(0xee);
  }
  return frames;
}

function errorOf(
  chunks: readonly Uint8Array[],
  options: FrameReaderOptions = {},
): Http2WireError | undefined {
  try {
    read(chunks, options);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(Http2WireError);
    return error as Http2WireError;
  }
}

const codec = {
  encode: ({ type, flags, streamId, payload }: Frame): Buffer =>
    encodeFrame(type, flags, streamId, Buffer.from(payload, 'hex')),
  decode: (chunks: readonly Uint8Array[]): Frame[] => read(chunks),
};

const { data, headers, ping, settings, goAway, windowUpdate, rstStream, priority } = FrameType;

// Layouts: RFC 9113 section 6.
testDecodeCase(
  'DATA',
  codec,
  { type: data, flags: 1, streamId: 5, payload: '7b7d' },
  hex('000002 00 01 00000005 7b7d'),
);
testDecodeCase(
  'DATA with padding',
  codec,
  { type: data, flags: 1, streamId: 5, payload: '0161' },
  hex('000005 00 09 00000005 02 0161 0000'),
);
testDecodeCase(
  'HEADERS',
  codec,
  { type: headers, flags: 5, streamId: 1, payload: '88' },
  hex('000001 01 05 00000001 88'),
);
testDecodeCase(
  'RST_STREAM',
  codec,
  { type: rstStream, flags: 0, streamId: 3, payload: '00000007' },
  hex('000004 03 00 00000003 00000007'),
);
testDecodeCase(
  'SETTINGS',
  codec,
  { type: settings, flags: 0, streamId: 0, payload: '0003000003e8' },
  hex('000006 04 00 00000000 0003 000003e8'),
);
testDecodeCase(
  'PING',
  codec,
  { type: ping, flags: 1, streamId: 0, payload: '0102030405060708' },
  hex('000008 06 01 00000000 0102030405060708'),
);
testDecodeCase(
  'GOAWAY',
  codec,
  { type: goAway, flags: 0, streamId: 0, payload: '00000007000000007b7d' },
  hex('00000a 07 00 00000000 00000007 00000000 7b7d'),
);
testDecodeCase(
  'WINDOW_UPDATE, reserved bits set',
  codec,
  { type: windowUpdate, flags: 0, streamId: 1, payload: '80000010' },
  hex('000004 08 00 80000001 80000010'),
);
testDecodeCase(
  'PRIORITY',
  codec,
  { type: priority, flags: 0, streamId: 3, payload: '0000000110' },
  hex('000005 02 00 00000003 00000001 10'),
);

test('a header block comes as one, without padding and priority, whatever it was cut into', () => {
  const bytes = hex(`
    00000a 01 28 00000001 02 00000000ff 8841 0000   # HEADERS: padded, priority; not the end of the block
    000003 09 00 00000001 026162                    # CONTINUATION
    000000 09 00 00000001                           # CONTINUATION of nothing
    000001 09 04 00000001 89                        # CONTINUATION, END_HEADERS
    000002 00 01 00000001 7b7d`);
  const expected = [
    { type: headers, flags: 0x04, streamId: 1, payload: '884102616289' },
    { type: data, flags: 1, streamId: 1, payload: '7b7d' },
  ];
  expect(read([bytes])).toEqual(expected);
  expect(read(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(expected);
  for (let at = 0; at <= bytes.length; at++) {
    expect(read([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toEqual(expected);
  }
});

test('frames of types that nobody knows are skipped', () => {
  expect(read([hex('000003 7f ff 00000009 010203  000008 06 00 00000000 0000000000000000')])).toHaveLength(1);
});

test('DATA counts for flow control with its padding', () => {
  const reader = new Http2FrameReader();
  reader.push(hex('000005 00 08 00000001 02 0161 0000'));
  expect(reader.next()).toBe(true);
  expect([reader.end - reader.start, reader.flowLength]).toEqual([2, 5]);
});

test('settings are read in order, unknown ones too', () => {
  const reader = new Http2FrameReader();
  reader.push(hex('000012 04 00 00000000 0003 00000001  00ff 12345678  0003 00000002'));
  expect(reader.next()).toBe(true);
  const seen: [number, number][] = [];
  reader.eachSetting((id, value) => seen.push([id, value]));
  expect(seen).toEqual([
    [SettingId.maxConcurrentStreams, 1],
    [0xff, 0x1234_5678],
    [SettingId.maxConcurrentStreams, 2],
  ]);
});

describe('writing', () => {
  test.each([
    ['SETTINGS', encodeSettings([[SettingId.enablePush, 0]]), '000006 04 00 00000000 0002 00000000'],
    ['an acknowledgement of SETTINGS', encodeSettingsAck(), '000000 04 01 00000000'],
    ['PING', encodePing(hex('0102030405060708')), '000008 06 00 00000000 0102030405060708'],
    ['its answer', encodePing(hex('0102030405060708'), 'ack'), '000008 06 01 00000000 0102030405060708'],
    ['WINDOW_UPDATE', encodeWindowUpdate(0, 0x7fff_ffff), '000004 08 00 00000000 7fffffff'],
    ['RST_STREAM', encodeRstStream(0x7fff_ffff, Http2ErrorCode.cancel), '000004 03 00 7fffffff 00000008'],
    ['GOAWAY', encodeGoAway(2, Http2ErrorCode.noError, '{}'), '00000a 07 00 00000000 00000002 00000000 7b7d'],
    [
      'the preface',
      encodePreface([]),
      '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a 000000 04 00 00000000',
    ],
  ])('%s', (_, bytes, expected) => {
    expect(bytes.toString('hex')).toBe(hex(expected).toString('hex'));
  });

  test('error codes have names, and unknown ones too', () => {
    expect([0, 7, 11, 13, 99].map(http2ErrorName)).toEqual([
      'no-error',
      'refused-stream',
      'enhance-your-calm',
      'http11-required',
      'unknown-99',
    ]);
  });
});

describe('what breaks the rules is a typed error', () => {
  test.each([
    ['a frame over the limit', '004001 00 00 00000001', 'http2-frame-size-error'],
    ['DATA on the connection', '000000 00 00 00000000', 'http2-protocol-error'],
    ['HEADERS on the connection', '000000 01 04 00000000', 'http2-protocol-error'],
    ['PRIORITY on the connection', '000005 02 00 00000000 0000000000', 'http2-protocol-error'],
    ['PRIORITY of 4 bytes', '000004 02 00 00000001 00000000', 'http2-frame-size-error'],
    ['RST_STREAM on the connection', '000004 03 00 00000000 00000000', 'http2-protocol-error'],
    ['RST_STREAM of 3 bytes', '000003 03 00 00000001 000000', 'http2-frame-size-error'],
    ['SETTINGS on a stream', '000000 04 00 00000001', 'http2-protocol-error'],
    ['SETTINGS of 5 bytes', '000005 04 00 00000000 0003000000', 'http2-frame-size-error'],
    ['an acknowledgement with settings', '000006 04 01 00000000 000300000000', 'http2-frame-size-error'],
    ['a server that switches push on', '000006 04 00 00000000 000200000001', 'http2-protocol-error'],
    ['a window over 2^31 - 1', '000006 04 00 00000000 000480000000', 'http2-flow-control-error'],
    ['a frame size under 16,384', '000006 04 00 00000000 000500003fff', 'http2-protocol-error'],
    ['a frame size over 2^24 - 1', '000006 04 00 00000000 000501000000', 'http2-protocol-error'],
    ['PUSH_PROMISE', '000005 05 04 00000001 0000000282', 'http2-protocol-error'],
    ['PING on a stream', '000008 06 00 00000001 0000000000000000', 'http2-protocol-error'],
    ['PING of 7 bytes', '000007 06 00 00000000 00000000000000', 'http2-frame-size-error'],
    ['GOAWAY on a stream', '000008 07 00 00000001 0000000000000000', 'http2-protocol-error'],
    ['GOAWAY of 7 bytes', '000007 07 00 00000000 00000000000000', 'http2-frame-size-error'],
    ['WINDOW_UPDATE of 3 bytes', '000003 08 00 00000000 000001', 'http2-frame-size-error'],
    ['WINDOW_UPDATE by nothing', '000004 08 00 00000000 80000000', 'http2-protocol-error'],
    ['CONTINUATION without HEADERS', '000000 09 04 00000001', 'http2-protocol-error'],
    ['a padded frame without a length', '000000 00 08 00000001', 'http2-frame-size-error'],
    ['padding longer than its frame', '000002 00 08 00000001 02 00', 'http2-protocol-error'],
    ['HEADERS too short for a priority', '000004 01 24 00000001 00000000', 'http2-frame-size-error'],
    ['a block interrupted by DATA', '000001 01 00 00000001 88 000000 00 00 00000001', 'http2-protocol-error'],
    [
      'a block interrupted by another',
      '000001 01 00 00000001 88 000000 09 04 00000003',
      'http2-protocol-error',
    ],
    [
      'a block interrupted by the unknown',
      '000001 01 00 00000001 88 000000 7f 04 00000001',
      'http2-protocol-error',
    ],
  ])('%s', (_, bytes, code) => {
    const whole = hex(bytes);
    expect(errorOf([whole])?.code).toBe(code);
    expect(errorOf(Array.from(whole, (byte) => Buffer.of(byte)))?.code).toBe(code);
  });

  test('it says what the GOAWAY that answers it has to say, and is thrown again', () => {
    const reader = new Http2FrameReader();
    reader.push(hex('000003 08 00 00000000 000001'));
    expect(() => reader.next()).toThrow(
      expect.objectContaining({ goAwayCode: Http2ErrorCode.frameSizeError }),
    );
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'http2-frame-size-error' }));
  });
});

describe('floods', () => {
  const continuation = encodeFrame(FrameType.continuation, 0, 1, Buffer.alloc(0));
  const begin = hex('000001 01 00 00000001 88');

  test('a header block in endless empty CONTINUATIONs', () => {
    const chunks = [begin, ...Array.from({ length: 17 }, () => continuation)];
    expect(errorOf(chunks.slice(0, 17))).toBeUndefined();
    expect(errorOf(chunks)?.code).toBe('http2-flood');
  });

  test('a header block over the limit is not gathered', () => {
    const large = encodeFrame(FrameType.continuation, 0, 1, Buffer.alloc(16_384));
    expect(errorOf([begin, large, large, large])).toBeUndefined();
    expect(errorOf([begin, large, large, large, large])?.code).toBe('http2-flood');
  });

  test.each([
    ['PING', encodePing(Buffer.alloc(8))],
    ['SETTINGS', encodeSettings([])],
    ['empty DATA', encodeFrame(data, 0, 1, Buffer.alloc(0))],
    ['RST_STREAM', encodeRstStream(1, 0)],
    ['the unknown', encodeFrame(0x7f, 0, 0, Buffer.alloc(0))],
  ])('%s without end', (_, frame) => {
    const flood = Buffer.concat(Array.from({ length: 101 }, () => frame));
    expect(errorOf([flood], { maxIdleFrames: 100 })?.code).toBe('http2-flood');
    const answered = [flood.subarray(frame.length), hex('000001 01 05 00000001 88'), frame];
    expect(errorOf(answered, { maxIdleFrames: 100 })).toBeUndefined();
  });

  test('a clock can forgive what came before', () => {
    const reader = new Http2FrameReader({ maxIdleFrames: 1 });
    for (let n = 0; n < 3; n++) {
      reader.forgiveIdleFrames();
      reader.push(encodePing(Buffer.alloc(8)));
      expect(reader.next()).toBe(true);
      expect(reader.next()).toBe(false);
    }
  });
});

test('a frame that is cut gives nothing and is seen in the pending bytes', () => {
  const reader = new Http2FrameReader();
  reader.push(hex('000008 06 00 00000000 0000'));
  expect(reader.next()).toBe(false);
  expect(reader.pendingBytes).toBe(11);
});

const anyFrame = fc.record({
  type: fc.constantFrom(data, windowUpdate, rstStream, ping, settings, goAway),
  streamId: fc.integer({ min: 1, max: 0x7fff_ffff }),
  payload: fc.uint8Array({ minLength: 8, maxLength: 600 }),
});

/** What the rules of a type ask for. */
const lengthOf = new Map<number, number>([
  [windowUpdate, 4],
  [rstStream, 4],
  [ping, 8],
  [settings, 0],
]);

test('any frames survive any split', () => {
  fc.assert(
    fc.property(fc.array(anyFrame), fc.array(fc.nat()), (drafts, places) => {
      const frames = drafts.map(({ type, streamId, payload }): Frame => {
        const bytes = Buffer.from(payload);
        const length = lengthOf.get(type) ?? bytes.length;
        if (type === windowUpdate) bytes[3] = 1;
        const isConnection = type === ping || type === settings || type === goAway;
        const text = bytes.toString('hex', 0, length);
        return { type, flags: 0, streamId: isConnection ? 0 : streamId, payload: text };
      });
      const bytes = Buffer.concat(frames.map(codec.encode));
      expect(read(splitAt(bytes, places))).toEqual(frames);
    }),
  );
});

test('any bytes give frames or a typed error, the same for any split', () => {
  const outcome = (chunks: readonly Uint8Array[]): unknown => {
    const error = errorOf(chunks);
    return error?.code ?? read(chunks);
  };
  // Mostly plausible headers: random bytes alone are over the size limit at once.
  const plausible = fc
    .tuple(fc.nat(20), fc.nat(10), fc.nat(255), fc.nat(3), fc.uint8Array({ maxLength: 30 }))
    .map(([length, type, flags, streamId, payload]) =>
      Buffer.concat([Buffer.of(0, 0, length, type, flags, 0, 0, 0, streamId), payload.subarray(0, length)]),
    );
  fc.assert(
    fc.property(fc.array(plausible, { maxLength: 6 }), fc.array(fc.nat()), (pieces, places) => {
      const bytes = Buffer.concat(pieces);
      expect(outcome(splitAt(bytes, places))).toEqual(outcome([bytes]));
    }),
    { numRuns: 1_000 },
  );
});
