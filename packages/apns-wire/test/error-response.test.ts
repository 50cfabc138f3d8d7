import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ErrorResponse,
  ErrorResponseDecoder,
  encodeErrorResponse,
  errorStatusName,
} from '../src/index.ts';
import { type Codec, hex, splitAt, testWireCase } from './wire-case.ts';

const codec: Codec<ErrorResponse> = {
  encode: encodeErrorResponse,
  decode: (chunks) => {
    const decoder = new ErrorResponseDecoder();
    return chunks.map((chunk) => decoder.push(chunk)).filter((packet) => packet !== undefined);
  },
};

testWireCase('invalid token', codec, { status: 8, identifier: 0x01020304 }, hex('08 08 01020304'));
testWireCase('shutdown', codec, { status: 10, identifier: 0xffffffff }, hex('08 0a ffffffff'));
testWireCase('unknown status, unknown frame', codec, { status: 77, identifier: 0 }, hex('08 4d 00000000'));

test('any packet survives any split', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.nat(0xffff_ffff), fc.array(fc.nat()), (status, identifier, places) => {
      const bytes = encodeErrorResponse({ status, identifier });
      expect(codec.decode(splitAt(bytes, places))).toEqual([{ status, identifier }]);
    }),
  );
});

test('a cut packet gives nothing and is seen in the pending bytes', () => {
  const decoder = new ErrorResponseDecoder();
  expect(decoder.push(hex('08 08 0000'))).toBeUndefined();
  expect(decoder.pendingBytes).toBe(4);
});

test('bytes after the packet are counted and mean nothing', () => {
  const decoder = new ErrorResponseDecoder();
  expect(decoder.push(hex('08 08 00000001 08 08'))).toEqual({ status: 8, identifier: 1 });
  expect(decoder.push(hex('00000002'))).toBeUndefined();
  expect(decoder.surplusBytes).toBe(6);
  expect(decoder.pendingBytes).toBe(0);
});

test('a packet of another command throws, and the decoder is done', () => {
  const decoder = new ErrorResponseDecoder();
  expect(() => decoder.push(hex('48'))).toThrow(expect.objectContaining({ code: 'unknown-command' }));
  expect(() => decoder.push(hex('08'))).toThrow(expect.objectContaining({ code: 'unknown-command' }));
});

test('statuses have stable names, and one that no source names is a value', () => {
  const statuses = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 128, 255, 9, 77];
  expect(statuses.map(errorStatusName)).toEqual([
    'no-errors',
    'processing-error',
    'missing-device-token',
    'missing-topic',
    'missing-payload',
    'invalid-token-size',
    'invalid-topic-size',
    'invalid-payload-size',
    'invalid-token',
    'shutdown',
    'protocol-error',
    'none',
    'unknown-9',
    'unknown-77',
  ]);
});
