import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFeedbackTuple, FeedbackDecoder, type FeedbackTuple } from '../src/index.ts';
import { type Codec, hex, splitAt, testWireCase } from './wire-case.ts';

function read(decoder: FeedbackDecoder, chunks: readonly Uint8Array[]): FeedbackTuple[] {
  const tuples: FeedbackTuple[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let tuple = decoder.next(); tuple !== undefined; tuple = decoder.next()) tuples.push(tuple);
  }
  return tuples;
}

const codec: Codec<FeedbackTuple> = {
  encode: encodeFeedbackTuple,
  decode: (chunks) => {
    const decoder = new FeedbackDecoder();
    const tuples = read(decoder, chunks);
    expect(decoder.remainder).toHaveLength(0);
    return tuples;
  },
};

const token = '00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0';
testWireCase('tuple', codec, { timestamp: 0x4f000000, token: hex(token) }, hex(`4f000000 0020 ${token}`));
testWireCase(
  'tuple with a short token',
  codec,
  { timestamp: 0xffffffff, token: hex('abcd') },
  hex('ffffffff 0002 abcd'),
);

const anyTuples = fc.array(
  fc.record({
    timestamp: fc.nat(0xffff_ffff),
    token: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  }),
);

test('any tuples survive any split, and a trailing partial one is the remainder', () => {
  fc.assert(
    fc.property(anyTuples, fc.array(fc.nat()), fc.nat(5), (tuples, places, partial) => {
      const tail = hex('01020304 0020').subarray(0, partial);
      const decoder = new FeedbackDecoder();
      expect(
        read(decoder, splitAt(Buffer.concat([...tuples.map(encodeFeedbackTuple), tail]), places)),
      ).toEqual(tuples);
      expect(decoder.remainder).toEqual(tail);
    }),
  );
});

test('a token over the limit throws after the tuples before it, and no byte goes astray', () => {
  const good = { timestamp: 5, token: hex('aabb') };
  const bad = hex('00000006 0065 01020304');
  const decoder = new FeedbackDecoder();
  decoder.push(Buffer.concat([encodeFeedbackTuple(good), bad]));
  expect(decoder.next()).toEqual(good);
  expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'token-too-long' }));
  expect(() => decoder.next()).toThrow(expect.objectContaining({ code: 'token-too-long' }));
  expect(() => decoder.push(Buffer.of(0))).toThrow(expect.objectContaining({ code: 'token-too-long' }));
  expect(decoder.remainder).toEqual(bad);
});

test('tuples stay as they are when the chunk they came from is reused', () => {
  const decoder = new FeedbackDecoder();
  const chunk = encodeFeedbackTuple({ timestamp: 5, token: hex('aabb') });
  decoder.push(chunk);
  const tuple = decoder.next();
  chunk.fill(0);
  expect(tuple).toEqual({ timestamp: 5, token: hex('aabb') });
});

test('random bytes give tuples, a remainder, or a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat()), (bytes, places) => {
      const run = (chunks: Uint8Array[]) => {
        const decoder = new FeedbackDecoder();
        try {
          return [read(decoder, chunks), decoder.remainder];
        } catch (error) {
          expect(error).toMatchObject({ code: 'token-too-long' });
          return 'token-too-long';
        }
      };
      expect(run(splitAt(Buffer.from(bytes), places))).toEqual(run([bytes]));
    }),
  );
});
