import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FrameType,
  HpackDecoder,
  Http2FrameReader,
  RequestEncoder,
  type RequestHeaders,
  ResponseHead,
  writeData,
} from '../src/http2/index.ts';
import type { NotificationColumns } from '../src/index.ts';
import { hex } from './wire-case.ts';

interface Draft {
  readonly token: Buffer;
  readonly payload: string;
  readonly expiration: number;
  readonly priority: number;
}

function columnsOf(drafts: readonly Draft[]): NotificationColumns {
  const offsets = (lengths: number[]): Uint32Array => {
    let sum = 0;
    return Uint32Array.from([0, ...lengths.map((length) => (sum += length))]);
  };
  return {
    count: drafts.length,
    tokens: Buffer.concat(drafts.map(({ token }) => token)),
    tokenOffsets: offsets(drafts.map(({ token }) => token.length)),
    payloads: Buffer.concat(drafts.map(({ payload }) => Buffer.from(payload))),
    payloadOffsets: offsets(drafts.map(({ payload }) => Buffer.byteLength(payload))),
    payloadOf: Uint16Array.from(drafts.keys()),
    expirations: Uint32Array.from(drafts, ({ expiration }) => expiration),
    priorities: Uint8Array.from(drafts, ({ priority }) => priority),
  };
}

const uuid = (position: number): string => `019a0000-0000-7000-8000-${String(position).padStart(12, '0')}`;

function headersOf(change: Partial<RequestHeaders> = {}): RequestHeaders {
  return {
    authorization: undefined,
    topic: () => 'a.b',
    pushType: () => 'alert',
    collapseId: () => null,
    apnsId: uuid,
    ...change,
  };
}

interface Request {
  readonly streamId: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  readonly body: string;
}

function read(bytes: Buffer): Request[] {
  const reader = new Http2FrameReader();
  const decoder = new HpackDecoder();
  const requests: Request[] = [];
  let pairs: [string, string][] = [];
  reader.push(bytes);
  while (reader.next()) {
    if (reader.type === FrameType.headers) {
      pairs = [];
      decoder.decode(reader.bytes, reader.start, reader.end, (name, value) => pairs.push([name, value]));
      expect(reader.hasEndStream).toBe(false);
    } else {
      expect([reader.type, reader.hasEndStream]).toEqual([FrameType.data, true]);
      const body = reader.bytes.toString('utf8', reader.start, reader.end);
      const names = pairs.map(([name]) => name);
      requests.push({ streamId: reader.streamId, fields: Object.fromEntries(pairs), names, body });
    }
  }
  expect(decoder.tableEntries).toBe(0);
  expect(reader.pendingBytes).toBe(0);
  return requests;
}

const draft: Draft = { token: hex('00fcab'), payload: '{"aps":{}}', expiration: 0, priority: 10 };
const wide = 1 << 30;

test('a request is written as the golden bytes', () => {
  const encoder = new RequestEncoder('h');
  const target = Buffer.alloc(1_024);
  const headers = headersOf({ authorization: 'bearer x', collapseId: () => 'c' });
  const end = encoder.encode(target, 0, columnsOf([draft]), headers, 0, 1, 3, wide, wide);
  const expected = hex(`
    0000b0 01 04 00000003                                    # HEADERS, END_HEADERS, stream 3
    20                                                       # no dynamic table: only in the first block
    83 87 01 01 68                                           # :method POST, :scheme https, :authority h
    14 10 2f332f6465766963652f 303066636162                  # :path /3/device/00fcab, never indexed
    1f08 08 6265617265722078                                 # authorization: bearer x, never indexed
    00 0a 61706e732d746f706963 03 612e62                     # apns-topic: a.b
    00 0e 61706e732d707573682d74797065 05 616c657274         # apns-push-type: alert
    00 0f 61706e732d65787069726174696f6e 01 30               # apns-expiration: 0
    00 0d 61706e732d7072696f72697479 02 3130                 # apns-priority: 10
    00 10 61706e732d636f6c6c617073652d6964 01 63             # apns-collapse-id: c
    00 07 61706e732d6964 24                                  # apns-id: 36 characters
    30313961303030302d303030302d373030302d383030302d303030303030303030303030
    00000a 00 01 00000003 7b22617073223a7b7d7d               # DATA, END_STREAM`);
  expect(target.toString('hex', 0, end)).toBe(expected.toString('hex'));
  expect([encoder.position, encoder.window]).toEqual([1, wide - 10]);
});

test('the first block of a connection does away with the dynamic table, and no other', () => {
  const encoder = new RequestEncoder('h');
  const target = Buffer.alloc(4_096);
  // No room for the first: nothing has been written, so the next is the first.
  encoder.encode(target.subarray(0, 120), 0, columnsOf([draft]), headersOf(), 0, 1, 1, wide, wide);
  expect(encoder.position).toBe(0);
  const firstBytes: (number | undefined)[] = [];
  encoder.encode(target, 0, columnsOf([draft, draft]), headersOf(), 0, 2, 1, wide, wide);
  const reader = new Http2FrameReader();
  reader.push(target.subarray(0, encoder.end));
  while (reader.next()) if (reader.type === FrameType.headers) firstBytes.push(reader.bytes[reader.start]);
  expect(firstBytes).toEqual([0x20, 0x83]);
});

test('fields are written again when they change, and only then', () => {
  const drafts = [
    draft,
    { ...draft, priority: 5 },
    { ...draft, priority: 5, expiration: 7 },
    draft,
    draft,
    draft,
  ];
  const types = ['alert', 'alert', 'alert', 'background', 'background', 'voip'];
  const collapse = [null, null, 'x', 'x', null, null];
  const headers = headersOf({
    topic: (position) => (types[position] === 'voip' ? 'a.b.voip' : 'a.b'),
    pushType: (position) => types[position]!,
    collapseId: (position) => collapse[position]!,
  });
  const target = Buffer.alloc(8_192);
  const end = new RequestEncoder('h').encode(target, 0, columnsOf(drafts), headers, 0, 6, 1, wide, wide);
  const requests = read(target.subarray(0, end));
  const column = (name: string): (string | undefined)[] => requests.map(({ fields }) => fields[name]);
  expect(column('apns-push-type')).toEqual(types);
  expect(column('apns-topic')).toEqual(['a.b', 'a.b', 'a.b', 'a.b', 'a.b', 'a.b.voip']);
  expect(column('apns-priority')).toEqual(['10', '5', '5', '10', '10', '10']);
  expect(column('apns-expiration')).toEqual(['0', '0', '7', '0', '0', '0']);
  expect(column('apns-collapse-id')).toEqual([undefined, undefined, 'x', 'x', undefined, undefined]);
  expect(column('apns-id')).toEqual(drafts.map((_, position) => uuid(position)));
  expect(requests.map(({ streamId }) => streamId)).toEqual([1, 3, 5, 7, 9, 11]);
});

const anyDraft = fc.record({
  token: fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  payload: fc.string({ unit: 'binary', maxLength: 600 }),
  expiration: fc.nat(0xffff_ffff),
  priority: fc.constantFrom(10, 5, 1),
});

test('any notifications are read back, in whatever pieces they were written', () => {
  fc.assert(
    fc.property(
      fc.array(anyDraft, { maxLength: 20 }),
      fc.integer({ min: 1_200, max: 6_000 }),
      (drafts, size) => {
        const columns = columnsOf(drafts);
        const encoder = new RequestEncoder('api.push.apple.com:2197');
        const pieces: Buffer[] = [];
        let streamId = 1;
        for (let from = 0; from < drafts.length; from = encoder.position) {
          const target = Buffer.alloc(size);
          const end = encoder.encode(
            target,
            0,
            columns,
            headersOf(),
            from,
            drafts.length,
            streamId,
            wide,
            wide,
          );
          streamId += 2 * (encoder.position - from);
          expect(encoder.position).toBeGreaterThan(from);
          pieces.push(target.subarray(0, end));
        }
        const requests = read(Buffer.concat(pieces));
        expect(requests.map(({ body }) => body)).toEqual(
          drafts.map(({ payload }) => Buffer.from(payload).toString()),
        );
        expect(requests.map(({ fields }) => fields[':path'])).toEqual(
          drafts.map(({ token }) => `/3/device/${token.toString('hex')}`),
        );
        // Pseudo-header fields come first (RFC 9113 section 8.3).
        for (const { names } of requests) expect(names.findLastIndex((name) => name.startsWith(':'))).toBe(3);
      },
    ),
  );
});

describe('flow control', () => {
  const drafts = [draft, draft, draft];
  const encode = (window: number, streamWindow: number): [number, number] => {
    const encoder = new RequestEncoder('h');
    const target = Buffer.alloc(4_096);
    encoder.encode(target, 0, columnsOf(drafts), headersOf(), 0, 3, 1, window, streamWindow);
    return [encoder.position, encoder.window];
  };

  test('the window of the connection is spent', () => {
    expect(encode(29, wide)).toEqual([2, 9]);
    expect(encode(30, wide)).toEqual([3, 0]);
  });

  test('a payload over the window of a stream is not written whole', () => {
    expect(encode(wide, 9)).toEqual([0, wide]);
    expect(encode(wide, 10)).toEqual([3, wide - 30]);
  });

  test('it is written in parts', () => {
    const target = Buffer.alloc(1_024);
    const columns = columnsOf([draft]);
    const payload = Buffer.from(draft.payload);
    let end = new RequestEncoder('h').encodeHeaders(target, 0, columns, headersOf(), 0, 1);
    end = writeData(target, end, 1, payload, 0, 4, false);
    end = writeData(target, end, 1, payload, 4, 10, true);
    const reader = new Http2FrameReader();
    reader.push(target.subarray(0, end));
    const seen: string[] = [];
    while (reader.next()) {
      if (reader.type === FrameType.data) seen.push(reader.bytes.toString('utf8', reader.start, reader.end));
    }
    expect(seen).toEqual(['{"ap', 's":{}}']);
    const room = new RequestEncoder('h').encodeHeaders(Buffer.alloc(100), 0, columns, headersOf(), 0, 1);
    expect(room).toBe(-1);
  });
});

describe('headers that cannot be sent', () => {
  test.each([
    ['a line break', 'a\nb'],
    ['too many bytes', 'x'.repeat(20_000)],
  ])('%s: throws at the position, and later ones go on as if nothing was', (_, topic) => {
    const encoder = new RequestEncoder('h');
    const target = Buffer.alloc(65_536);
    const columns = columnsOf([draft, draft, draft]);
    const headers = headersOf({ topic: (position) => (position === 1 ? topic : 'a.b') });
    expect(() => encoder.encode(target, 0, columns, headers, 0, 3, 1, wide, wide)).toThrow(
      expect.objectContaining({ code: 'field-out-of-range' }),
    );
    expect(encoder.position).toBe(1);
    const end = encoder.encode(target, 0, columns, headers, 2, 3, 3, wide, wide);
    expect(read(target.subarray(0, end)).map(({ fields }) => fields['apns-topic'])).toEqual(['a.b']);
  });
});

describe('the head of an answer', () => {
  const headOf = (fields: [string, string][]): ResponseHead => {
    const head = new ResponseHead();
    for (const [name, value] of fields) head.field(name, value);
    return head;
  };

  test('has status, apns-id and retry-after', () => {
    expect(
      headOf([
        [':status', '429'],
        ['apns-id', 'x'],
        ['retry-after', '7'],
        ['other', ''],
      ]),
    ).toMatchObject({ status: 429, apnsId: 'x', retryAfter: '7' });
    expect(headOf([]).status).toBe(0);
    expect(headOf([['apns-id', 'x']]).reset()).toMatchObject({ status: 0, apnsId: undefined });
  });

  test.each([
    ['two statuses', ['200', '200']],
    ['a status of letters', ['abc']],
    ['a status of 4 digits', ['2000']],
  ])('%s is no answer', (_, statuses) => {
    expect(() => headOf(statuses.map((status) => [':status', status]))).toThrow(
      expect.objectContaining({ code: 'http2-protocol-error' }),
    );
  });

  test('a status after a field, and a pseudo-header field of requests, are no answer', () => {
    const refused = expect.objectContaining({ code: 'http2-protocol-error' });
    expect(() =>
      headOf([
        ['a', ''],
        [':status', '200'],
      ]),
    ).toThrow(refused);
    expect(() => headOf([[':path', '/']])).toThrow(refused);
  });
});
