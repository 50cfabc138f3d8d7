import fc from 'fast-check';
import type { FuzzedRequest } from './arbitrary-requests.ts';

// What is put on a connection, byte by byte: requests as they should be, and what clients that are broken, slow or
// hostile make of them.

export type Exchange =
  /** A whole request; an answer is due. */
  | { readonly kind: 'whole'; readonly method: string; readonly path: string; readonly bytes: Buffer }
  /** A request whose body comes in pieces; an answer is due. */
  | { readonly kind: 'slow'; readonly pieces: readonly Buffer[]; readonly pauseMs: number }
  /** A request that is given up after its first bytes; nothing is due. */
  | { readonly kind: 'aborted'; readonly bytes: Buffer; readonly afterMs: number }
  /** What is no HTTP, or not all of a request; an answer or the end of the connection is due once we have ended ours. */
  | { readonly kind: 'noise'; readonly bytes: Buffer };

const types = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=latin1',
  'application/x-ndjson',
  'text/csv',
  'text/plain',
  'application/problem+json',
  'multipart/form-data; boundary=x',
  '',
] as const;

const oddHeaders: readonly string[] = [
  'idempotency-key: order-1',
  `idempotency-key: ${'k'.repeat(300)}`,
  'idempotency-key:',
  'content-encoding: gzip',
  'accept: text/csv',
  'accept: application/x-ndjson',
  'accept: text/event-stream',
  'expect: 100-continue',
  'expect: 200-ok',
  `x-request-id: ${'r'.repeat(500)}`,
  'x-request-id: \u00ff\u00fe',
  'traceparent: 00-zz-zz-01',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'authorization: Bearer nothing',
  'authorization: Basic !!!',
  'last-event-id: 18446744073709551616',
  'range: bytes=0-1,5-',
  'upgrade: h2c',
  'connection: upgrade',
  'connection: close',
  'transfer-encoding: identity',
  'te: trailers',
  `cookie: ${'c'.repeat(6_000)}`,
  `x-long: ${'l'.repeat(20_000)}`,
];

const manyValues = (count: number) => `{"app":"shop","custom":{"a":[${'{},'.repeat(count)}{}]}}`;

/** Bodies that no schema makes. */
const oddBodies: readonly (() => string | Buffer)[] = [
  () => '',
  () => '{',
  () => '[]',
  () => 'null',
  () => '"x"',
  () => '{"app":"shop"}{"app":"shop"}',
  () => '{"__proto__":{"app":"shop"},"constructor":1}',
  () => `{"not":${'['.repeat(5_000)}`,
  () => '['.repeat(100_000),
  () => manyValues(200_000),
  () => `{"app":"shop","token":"${'ab'.repeat(32)}","alert":"${'x'.repeat(2_000_000)}"}`,
  () => `{"${'n'.repeat(1_000_000)}":1}`,
  () => Buffer.from([0xff, 0xfe, 0x00, 0xd8]),
  () => Buffer.alloc(300_000, 0x20),
  () => `token,userId\n${'zz,"\n'.repeat(5_000)}`,
  () => `token\n${`${'ab'.repeat(32)}\n`.repeat(2_000)}`,
  () => '"anna"\n'.repeat(3_000),
  () => `{"token":"${'ab'.repeat(32)}"}\n`.repeat(500),
];

const hugeBody = () => Buffer.from(`{"app":"shop","notifications":[${manyValues(1_400_000)}]}`);

const importPaths = ['/v1/devices/import?app=shop', '/v1/uploads?app=news', '/v1/uploads?app=gone'] as const;

/** Exchanges, most of them whole requests as the OpenAPI document has them or nearly so. */
export function arbitraryExchange(
  nearlyGood: fc.Arbitrary<FuzzedRequest>,
  good: readonly FuzzedRequest[],
): fc.Arbitrary<Exchange> {
  const requests = fc.oneof(
    { weight: 4, arbitrary: nearlyGood },
    { weight: 1, arbitrary: fc.constantFrom(...good) },
  );
  const odd = fc.subarray([...oddHeaders], { maxLength: 3 });
  const usual = requests.map((request) => whole(request, [], undefined));
  const withOddHeaders = fc
    .tuple(requests, odd, fc.constantFrom(...types))
    .map(([request, headers, type]) => whole(request, headers, undefined, type));
  const body = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...oddBodies).map((make) => () => Buffer.from(make())) },
    { weight: 3, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => () => Buffer.from(bytes)) },
  );
  const withOddBody = fc
    .tuple(requests, body, fc.constantFrom(...types), fc.constantFrom(undefined, ...importPaths))
    .map(([request, make, type, path]) =>
      whole(path === undefined ? request : { ...request, method: 'POST', url: path }, [], make(), type),
    );
  const huge = fc
    .constant(undefined)
    .map(() => whole({ method: 'POST', url: '/v1/notifications', body: undefined }, [], hugeBody()));
  const slow = fc
    .tuple(fc.oneof(usual, withOddBody), fc.integer({ min: 2, max: 8 }), fc.integer({ min: 5, max: 120 }))
    .map(
      ([{ bytes }, count, pauseMs]): Exchange => ({ kind: 'slow', pieces: piecesOf(bytes, count), pauseMs }),
    );
  const aborted = fc
    .tuple(
      fc.oneof(usual, withOddBody),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 30 }),
    )
    .map(
      ([{ bytes }, share, afterMs]): Exchange => ({
        kind: 'aborted',
        bytes: bytes.subarray(0, Math.floor(bytes.length * share)),
        afterMs,
      }),
    );
  const noise = fc.oneof(
    fc
      .uint8Array({ maxLength: 400 })
      .map((bytes): Exchange => ({ kind: 'noise', bytes: Buffer.from(bytes) })),
    fc
      .constantFrom(...noises)
      .map((text): Exchange => ({ kind: 'noise', bytes: Buffer.from(text, 'latin1') })),
  );
  return fc.oneof(
    { weight: 8_000, arbitrary: usual },
    { weight: 700, arbitrary: withOddHeaders },
    { weight: 500, arbitrary: withOddBody },
    { weight: 3, arbitrary: huge },
    { weight: 200, arbitrary: slow },
    { weight: 400, arbitrary: aborted },
    { weight: 200, arbitrary: noise },
  );
}

const head = 'POST /v1/notifications HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';

const noises: readonly string[] = [
  'GET / HTTP/1.1\r\n\r\n',
  'GET /v1/apps HTTP/9.9\r\nhost: x\r\n\r\n',
  'GET /v1/devices/%zz?app=shop HTTP/1.1\r\nhost: x\r\n\r\n',
  `GET /v1/devices/${'a'.repeat(9_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  `GET /${'/'.repeat(15_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
  `${head}content-length: 5\r\ncontent-length: 6\r\n\r\n{"a":`,
  `${head}content-length: -1\r\n\r\n`,
  `${head}content-length: 99999999999999999999\r\n\r\n{}`,
  `${head}content-length: 50\r\n\r\n{}`,
  `${head}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\n{} \r\n0\r\n\r\n`,
  `${head}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
  `${head}transfer-encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  `${head}transfer-encoding: gzip\r\n\r\n{}`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n',
  'PATCH /v1/notifications HTTP/1.1\r\nhost: x\r\n\r\n',
  'TRACE /v1/apps HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET http://elsewhere/v1/apps HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET /v1/apps HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n',
  'GET /v1/apps HTTP/1.1\r\nhost: x\r\nx\u0000y: z\r\n\r\n',
  `GET /v1/apps HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(2_500)}\r\n`,
  'GET /v1/apps HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20),
];

function whole(
  { method, url, body }: FuzzedRequest,
  headers: readonly string[],
  raw: Buffer | undefined,
  type: string = types[0],
): Exchange & { readonly kind: 'whole' } {
  const bytes = raw ?? (body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
  const lines = [
    `${method} ${url} HTTP/1.1`,
    'host: 127.0.0.1',
    ...headers,
    ...(bytes === undefined
      ? []
      : [`content-length: ${bytes.length}`, ...(type === '' ? [] : [`content-type: ${type}`])]),
  ];
  const start = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return {
    kind: 'whole',
    method,
    path: url,
    bytes: bytes === undefined ? start : Buffer.concat([start, bytes]),
  };
}

function piecesOf(bytes: Buffer, count: number): Buffer[] {
  const length = Math.max(1, Math.ceil(bytes.length / count));
  return Array.from({ length: count }, (_, place) =>
    bytes.subarray(place * length, (place + 1) * length),
  ).filter((piece) => piece.length > 0);
}
