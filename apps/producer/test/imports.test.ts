import { Readable } from 'node:stream';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCsv, readLines } from '../src/imports/read-records.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 6_000, seed: 17 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const upload = (url: string, type: string, body: string) =>
  probe.call('POST', url, { headers: { 'content-type': type }, body });

test('devices come from NDJSON, and lines that are not right are told and passed over', async () => {
  const lines = tokens.map((token, place) =>
    JSON.stringify({
      token,
      userId: `user-${place % 3_000}`,
      tags: ['all', place % 2 === 0 ? 'even' : 'odd'],
    }),
  );
  lines.splice(2, 0, '{"token": ', '', '{"token":"zz","tags":"x"}', `"${tokens[0]}"`);
  const { status, body } = await upload(
    '/v1/devices/import?app=shop',
    'application/x-ndjson',
    `\ufeff${lines.join('\r\n')}`,
  );
  expect(status).toBe(200);
  expect(body).toMatchObject({ imported: 6_000, created: 6_000, reactivated: 0, moved: 0, errorCount: 3 });
  expect(body.errors.map(({ line, field }: { line: number; field: string }) => `${line} ${field}`)).toEqual([
    '3 line',
    '5 token',
    '5 tags',
    '6 line',
  ]);
  expect(JSON.stringify(body)).not.toContain(tokens[0]);
  expect((await probe.call('GET', `/v1/devices/${tokens[1]}?app=shop`)).body).toMatchObject({
    userId: 'user-1',
    tags: ['all', 'odd'],
  });
});

test('devices come from CSV, and a token under another user moves', async () => {
  const csv = [
    'userId,token,tags,timeZone,registeredAt',
    `"user, ""A""",${tokens[0]},vip;de,Europe/Berlin,2020-01-01T00:00:00Z`,
    `,${tokens[1]},,,`,
    `x,${tokens[2]}`,
    `x,${tokens[2]},,Mars/Olympus,`,
  ].join('\r\n');
  const { body } = await upload('/v1/devices/import?app=news', 'text/csv; charset=utf-8', csv);
  expect(body).toMatchObject({ imported: 2, created: 2, errorCount: 2 });
  expect(body.errors).toMatchObject([
    { line: 4, field: 'line' },
    { line: 5, field: 'timeZone' },
  ]);
  expect((await probe.call('GET', `/v1/devices/${tokens[0]}?app=news`)).body).toMatchObject({
    userId: 'user, "A"',
    tags: ['vip', 'de'],
    timeZone: 'Europe/Berlin',
    registeredAt: '2020-01-01T00:00:00.000Z',
  });
  const again = await upload('/v1/devices/import?app=news', 'text/csv', `token,userId\n${tokens[0]},B\n`);
  expect(again.body).toMatchObject({ imported: 1, created: 0, moved: 1 });
});

test.each([
  ['CSV without a token column is refused', 'text/csv', 'user\nx\n', 400, { errors: [{ field: 'line 1' }] }],
  ['an empty file is a file of no devices', 'application/x-ndjson', '', 200, { imported: 0, errorCount: 0 }],
  ['a body of another type is refused', 'application/json', '{}', 415, { code: 'unsupported-media-type' }],
])('%s', async (_name, type, body, status, expected) => {
  expect(await upload('/v1/devices/import?app=shop', type, body)).toMatchObject({ status, body: expected });
});

test('a list of users is uploaded as text or NDJSON, whole or not at all', async () => {
  const text = await upload('/v1/uploads?app=shop', 'text/plain', 'anna\nbert\n\nanna\n');
  expect(text).toMatchObject({ status: 201, body: { users: 2 } });
  const ndjson = await upload('/v1/uploads?app=shop', 'application/x-ndjson', '"anna"\n{"userId":"bert"}');
  expect(ndjson).toMatchObject({ status: 201, body: { users: 2 } });
  const wrong = await upload('/v1/uploads?app=shop', 'application/x-ndjson', '"anna"\n{"user":"bert"}');
  expect(wrong).toMatchObject({ status: 400, body: { errors: [{ field: 'line 2' }] } });
  expect(await upload('/v1/uploads?app=gone', 'text/plain', 'anna')).toMatchObject({ status: 404 });
  expect(await upload('/v1/uploads?app=shop', 'text/plain', '\n')).toMatchObject({ status: 400 });
});

async function collect(records: AsyncIterable<{ line: number; fields: readonly string[]; error?: string }>) {
  const all: string[] = [];
  for await (const { line, fields, error } of records) all.push(`${line}:${error ?? fields.join('|')}`);
  return all;
}

test('however a file is cut into pieces, its records are the same', async () => {
  const csv = Buffer.from('a,"b ""q"", ü\nnext",c\r\n\n"",x,\r\n"bad"x,1\nlast,"€"');
  const lines = Buffer.from('one\r\n\n  zwölf €\nlast');
  const wholeCsv = await collect(readCsv(Readable.from([csv])));
  expect(wholeCsv).toEqual(['1:a|b "q", ü\nnext|c', '4:|x|', '5:has text after a closing quote', '6:last|€']);
  const wholeLines = await collect(readLines(Readable.from([lines])));
  expect(wholeLines).toEqual(['1:one', '3:zwölf €', '4:last']);
  for (let at = 1; at < csv.length; at++) {
    expect(await collect(readCsv(Readable.from([csv.subarray(0, at), csv.subarray(at)])))).toEqual(wholeCsv);
  }
  for (let at = 1; at < lines.length; at++) {
    const cut = Readable.from([lines.subarray(0, at), lines.subarray(at)]);
    expect(await collect(readLines(cut))).toEqual(wholeLines);
  }
});

test('a record without end takes no memory, and those after it are read', async () => {
  const long = Buffer.alloc(300_000, 'x');
  const file = [Buffer.from('one\n'), long, long, Buffer.from('\ntwo')];
  expect(await collect(readLines(Readable.from(file)))).toEqual([
    '1:one',
    '2:is longer than 65536 characters',
    '3:two',
  ]);
  expect(await collect(readCsv(Readable.from(file)))).toEqual([
    '1:one',
    '2:is longer than 65536 characters',
    '3:two',
  ]);
});
