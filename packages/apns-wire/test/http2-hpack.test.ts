import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  HpackDecoder,
  type HpackDecoderOptions,
  literalLength,
  StaticIndex,
  writeIndexedField,
  writeLiteralField,
} from '../src/http2/index.ts';
import { hex } from './wire-case.ts';

type Field = [name: string, value: string];

function decode(decoder: HpackDecoder, block: Buffer): Field[] {
  const fields: Field[] = [];
  decoder.decode(block, 0, block.length, (name, value) => fields.push([name, value]));
  return fields;
}

const codeOf = (block: Buffer, options: HpackDecoderOptions = {}): string => {
  try {
    decode(new HpackDecoder(options), block);
    return 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

/** Blocks of one connection, in order: fields, and size and entries of the table after it. */
interface Step {
  readonly bytes: string;
  readonly fields: Field[];
  readonly tableBytes: number;
  readonly tableEntries: number;
}

const first: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const second: Field[] = [...first, ['cache-control', 'no-cache']];
const third: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
];
const answer = (status: string, second: number, ...more: Field[]): Field[] => [
  [':status', status],
  ['cache-control', 'private'],
  ['date', `Mon, 21 Oct 2013 20:13:${second} GMT`],
  ['location', 'https://www.example.com'],
  ...more,
];
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

/** RFC 7541 appendix C, typed from it. */
const connections: Record<string, { options: HpackDecoderOptions; steps: Step[] }> = {
  'C.2.1 literal with indexing': {
    options: {},
    steps: [
      {
        bytes: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        fields: [['custom-key', 'custom-header']],
        tableBytes: 55,
        tableEntries: 1,
      },
    ],
  },
  'C.2.2 literal without indexing': {
    options: {},
    steps: [
      {
        bytes: '040c 2f73 616d 706c 652f 7061 7468',
        fields: [[':path', '/sample/path']],
        tableBytes: 0,
        tableEntries: 0,
      },
    ],
  },
  'C.2.3 literal never indexed': {
    options: {},
    steps: [
      {
        bytes: '1008 7061 7373 776f 7264 0673 6563 7265 74',
        fields: [['password', 'secret']],
        tableBytes: 0,
        tableEntries: 0,
      },
    ],
  },
  'C.2.4 indexed field': {
    options: {},
    steps: [{ bytes: '82', fields: [[':method', 'GET']], tableBytes: 0, tableEntries: 0 }],
  },
  'C.3 requests without Huffman coding': {
    options: {},
    steps: [
      {
        bytes: '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        fields: first,
        tableBytes: 57,
        tableEntries: 1,
      },
      { bytes: '8286 84be 5808 6e6f 2d63 6163 6865', fields: second, tableBytes: 110, tableEntries: 2 },
      {
        bytes: '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
        fields: third,
        tableBytes: 164,
        tableEntries: 3,
      },
    ],
  },
  'C.4 requests with Huffman coding': {
    options: {},
    steps: [
      {
        bytes: '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        fields: first,
        tableBytes: 57,
        tableEntries: 1,
      },
      { bytes: '8286 84be 5886 a8eb 1064 9cbf', fields: second, tableBytes: 110, tableEntries: 2 },
      {
        bytes: '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
        fields: third,
        tableBytes: 164,
        tableEntries: 3,
      },
    ],
  },
  'C.5 answers without Huffman coding, with eviction': {
    options: { maxTableBytes: 256 },
    steps: [
      {
        bytes: `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                6c65 2e63 6f6d`,
        fields: answer('302', 21),
        tableBytes: 222,
        tableEntries: 4,
      },
      { bytes: '4803 3330 37c1 c0bf', fields: answer('307', 21), tableBytes: 222, tableEntries: 4 },
      {
        bytes: `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                3d31`,
        fields: answer('200', 22, ['content-encoding', 'gzip'], ['set-cookie', cookie]),
        tableBytes: 215,
        tableEntries: 3,
      },
    ],
  },
  'C.6 answers with Huffman coding, with eviction': {
    options: { maxTableBytes: 256 },
    steps: [
      {
        bytes: `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        fields: answer('302', 21),
        tableBytes: 222,
        tableEntries: 4,
      },
      { bytes: '4883 640e ffc1 c0bf', fields: answer('307', 21), tableBytes: 222, tableEntries: 4 },
      {
        bytes: `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        fields: answer('200', 22, ['content-encoding', 'gzip'], ['set-cookie', cookie]),
        tableBytes: 215,
        tableEntries: 3,
      },
    ],
  },
};

test.each(Object.entries(connections))('decodes RFC 7541 %s', (_, { options, steps }) => {
  const decoder = new HpackDecoder(options);
  for (const { bytes, fields, tableBytes, tableEntries } of steps) {
    expect(decode(decoder, hex(bytes))).toEqual(fields);
    expect([decoder.tableBytes, decoder.tableEntries]).toEqual([tableBytes, tableEntries]);
  }
});

describe('encoding', () => {
  const write = (write: (target: Buffer) => number): string => {
    const target = Buffer.alloc(4_096);
    return target.subarray(0, write(target)).toString('hex');
  };

  test('writes the examples of RFC 7541 that need no table', () => {
    const path = { name: StaticIndex.path, value: '/sample/path', indexing: 'without' } as const;
    const password = { name: 'password', value: 'secret', indexing: 'never' } as const;
    // C.2.2, C.2.3, C.2.4
    expect(write((target) => writeLiteralField(target, 0, path))).toBe('040c2f73616d706c652f70617468');
    expect(write((target) => writeLiteralField(target, 0, password))).toBe(
      '100870617373776f726406736563726574',
    );
    expect(write((target) => writeIndexedField(target, 0, StaticIndex.methodGet))).toBe('82');
  });

  test('writes integers over the prefix in groups of 7 bits', () => {
    // C.1.2: 1337 behind 5 bits is 1f 9a 0a; behind the 7 of a string's length, 127 + 1210: 7f ba 09.
    const field = { name: 'a', value: 'x'.repeat(1_337), indexing: 'without' } as const;
    expect(write((target) => writeLiteralField(target, 0, field)).slice(0, 12)).toBe('0001617fba09');
    // Index 23 behind 4 bits: 15 + 8.
    const authorization = { name: StaticIndex.authorization, value: 'b', indexing: 'never' } as const;
    expect(write((target) => writeLiteralField(target, 0, authorization))).toBe('1f080162');
  });

  test('any printable fields come back, and take the length that was told', () => {
    const name = fc.stringMatching(/^[a-z0-9-]{1,40}$/);
    const value = fc.stringMatching(/^([!-~]([ -~]{0,300}[!-~])?)?$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value, fc.constantFrom('without', 'never'))), (fields) => {
        const length = fields.reduce((sum, [name, value]) => sum + literalLength({ name, value }), 0);
        const target = Buffer.alloc(length);
        let at = 0;
        for (const [name, value, indexing] of fields) {
          at = writeLiteralField(target, at, { name, value, indexing });
        }
        expect(at).toBe(length);
        expect(decode(new HpackDecoder(), target)).toEqual(fields.map(([name, value]) => [name, value]));
      }),
    );
  });

  test.each(['a\r\nb', 'é', ' a', 'a ', '\0'])(
    'refuses a value that would be another request: %j',
    (value) => {
      expect(() =>
        writeLiteralField(Buffer.alloc(64), 0, { name: 'apns-topic', value, indexing: 'without' }),
      ).toThrow(expect.objectContaining({ code: 'field-out-of-range' }));
    },
  );
});

describe('the size of the table', () => {
  test('may change before the first field, more than once, and evicts', () => {
    const decoder = new HpackDecoder();
    decode(decoder, hex('400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'));
    expect(decoder.tableEntries).toBe(1);
    // 0, then 4,096 (31 + 4,065: 3f e1 1f), then :method GET
    expect(decode(decoder, hex('20 3fe11f 82'))).toEqual([[':method', 'GET']]);
    expect(decoder.tableEntries).toBe(0);
  });

  test('must not exceed what we allow, which may be raised', () => {
    const decoder = new HpackDecoder();
    decoder.setMaxTableBytes(8_192);
    // 31 + 8,161
    expect(decode(decoder, hex('3fe13f'))).toEqual([]);
    expect(codeOf(hex('3fe13f'))).toBe('http2-compression-error');
  });

  test('must not change between fields', () => {
    expect(codeOf(hex('82 20'))).toBe('http2-compression-error');
  });

  test('an entry larger than the table empties it, and is a field all the same', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 64 });
    decode(decoder, hex('4001 6101 62'));
    expect(decoder.tableEntries).toBe(1);
    const long = Buffer.concat([hex('4001 61 40'), Buffer.alloc(64, 'x')]);
    expect(decode(decoder, long)).toEqual([['a', 'x'.repeat(64)]]);
    expect([decoder.tableEntries, decoder.tableBytes]).toEqual([0, 0]);
  });

  test('many entries of a large table are found where they belong', () => {
    const decoder = new HpackDecoder();
    for (let n = 0; n < 300; n++) {
      const value = String(n).padStart(4, '0');
      decode(decoder, Buffer.concat([hex('4001 61 04'), Buffer.from(value)]));
    }
    // 4,096 bytes of entries of 37.
    expect(decoder.tableEntries).toBe(110);
    expect(decode(decoder, hex('be'))).toEqual([['a', '0299']]);
    // 62 + 109 = 171: 127 + 44
    expect(decode(decoder, hex('ff2c'))).toEqual([['a', '0190']]);
    expect(() => decode(decoder, hex('ff2d'))).toThrow(
      expect.objectContaining({ code: 'http2-compression-error' }),
    );
  });
});

test.each([
  ['index 0', '80'],
  ['an index that the table does not have', 'be'],
  ['a name at an index that the table does not have', '7e 01 61'],
  ['a cut index', 'ff'],
  ['a cut number', 'ff 80'],
  ['an endless number', 'ff 8080 8080 8080 8080 01'],
  ['an overlong number', 'ff ffff ffff ff0f'],
  ['a literal without a name', '40'],
  ['a cut name', '40 05 6161'],
  ['a literal without a value', '40 01 61'],
  ['a cut value', '40 01 61 05 6161'],
  ['a Huffman string that is padded with zeros', '40 01 61 81 00'],
  // Eight ones: the padding must be shorter than a byte.
  ['a Huffman string of padding alone', '40 01 61 81 ff'],
  ['a Huffman string with EOS in it', '40 01 61 84 ffff ffff'],
  ['a Huffman string that ends in a symbol', '40 01 61 82 fffe'],
])('refuses %s', (_, bytes) => {
  expect(codeOf(hex(bytes))).toBe('http2-compression-error');
});

test.each([
  ['an upper-case name', '40 01 41 00'],
  ['an empty name', '40 00 00'],
  ['a name with a space', '40 02 6120 00'],
  ['a name with a colon in it', '40 03 613a62 00'],
  ['a value with a line break', '40 01 61 03 610d0a'],
  ['a value with NUL', '40 01 61 01 00'],
  ['a value that begins with a space', '40 01 61 02 2061'],
])('refuses %s', (_, bytes) => {
  expect(codeOf(hex(bytes))).toBe('http2-protocol-error');
});

test('refuses a list over the limit, also one that a small block stands for', () => {
  const decoder = new HpackDecoder({ maxHeaderListBytes: 10_000 });
  const entry = Buffer.concat([hex('4001 61 7f 81 0f'), Buffer.alloc(2_048, 'x')]);
  expect(decode(decoder, entry)).toHaveLength(1);
  expect(() => decode(decoder, Buffer.alloc(100, 0xbe))).toThrow(
    expect.objectContaining({ code: 'http2-flood' }),
  );
});

test('after an error the decoder is done', () => {
  const decoder = new HpackDecoder();
  expect(() => decode(decoder, hex('80'))).toThrow();
  expect(() => decode(decoder, hex('82'))).toThrow(
    expect.objectContaining({ code: 'http2-compression-error' }),
  );
});

test('any bytes give fields or a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(['none', 'http2-compression-error', 'http2-protocol-error', 'http2-flood']).toContain(
        codeOf(Buffer.from(bytes)),
      );
    }),
    { numRuns: 2_000 },
  );
});
