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

const importOf = (body: string | Buffer, type = 'text/csv', headers: Record<string, string> = {}) =>
  probe.call('POST', '/v1/devices/import?app=shop', { headers: { 'content-type': type, ...headers }, body });
const [one = '', two = '', three = ''] = tokens;
const ahead = new Date(Date.now() + 2 * 3_600_000).toISOString();

test.each<[name: string, type: string, body: string | Buffer, imported: number, errors: object[]]>([
  [
    'users in Latin-1 never become one',
    'text/csv',
    Buffer.from(`token,userId\n${one},jos\xe9\n${two},jos\xe8\n${three},anna\n`, 'latin1'),
    1,
    [
      { line: 2, message: 'is not UTF-8' },
      { line: 3, message: 'is not UTF-8' },
    ],
  ],
  [
    'lines of NDJSON in Latin-1',
    'application/x-ndjson',
    Buffer.from(`{"token":"${one}","userId":"jos\xe9"}`, 'latin1'),
    0,
    [{ line: 1, message: 'is not UTF-8' }],
  ],
  ['a user with U+FFFD', 'text/csv', `token,userId\n${one},jos\ufffd`, 0, [{ line: 2, field: 'userId' }]],
  ['a tag with U+FFFD', 'text/csv', `token,tags\n${one},vip;\ufffd`, 0, [{ line: 2, field: 'tags[1]' }]],
  ['lines that end with CR', 'text/csv', `token,userId\r${one},anna\r${two},bert`, 2, []],
  [
    'lines of NDJSON that end with CR',
    'application/x-ndjson',
    `{"token":"${one}"}\r{"token":"${two}"}`,
    2,
    [],
  ],
  ['a semicolon behind the last tag', 'text/csv', `token,tags\n${one},vip;de;\n`, 1, []],
  ['tags parted by commas', 'text/csv', `token,tags\n${one},"vip,csv"\n`, 0, [{ line: 2, field: 'tags' }]],
  ['two tokens in one field', 'text/csv', `token\n"${one}\n${two}"\n`, 0, [{ line: 2, field: 'token' }]],
  [
    'a registration of 2099',
    'text/csv',
    `token,registeredAt\n${one},2099-01-01T00:00:00Z`,
    0,
    [{ field: 'registeredAt' }],
  ],
  [
    'a registration two hours ahead',
    'text/csv',
    `token,registeredAt\n${one},${ahead}`,
    0,
    [{ field: 'registeredAt' }],
  ],
  [
    'a registration before there were any',
    'text/csv',
    `token,registeredAt\n${one},1999-01-01T00:00:00Z`,
    0,
    [{ field: 'registeredAt' }],
  ],
  [
    'a day that there is not',
    'text/csv',
    `token,registeredAt\n${one},2025-02-30T00:00:00Z`,
    0,
    [{ field: 'registeredAt' }],
  ],
  ['a zone that there is not', 'text/csv', `token,timeZone\n${one},Europe/Berln`, 0, [{ field: 'timeZone' }]],
  [
    'a field twice in a line of NDJSON',
    'application/x-ndjson',
    `{"token":"${one}","userId":"a","userId":"b"}`,
    0,
    [{ field: 'userId' }],
  ],
  ['a line nested without end', 'application/x-ndjson', `{"token":${'['.repeat(5_000)}`, 0, [{ line: 1 }]],
])('%s: taken as they are, or an error of their line', async (_name, type, body, imported, errors) => {
  const answer = await importOf(body, type);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ imported, errors });
  expect(answer.text).not.toContain(one);
});

test('a quote that is one too many is told with the lines that it swallows, and they are counted', async () => {
  const lines = Array.from({ length: 1_000 }, (_, place) => `${tokens[place]},u${place}`);
  lines[2] = `${tokens[2]},"u2`;
  const { body } = await importOf(['token,userId', ...lines].join('\n'));
  const [error] = body.errors as [{ line: number; message: string }];
  expect(error).toMatchObject({
    line: 4,
    message: expect.stringMatching(/not closed: lines 4 to \d+ were read as one/),
  });
  const last = Number(/to (\d+)/.exec(error.message)![1]);
  expect(body.errorCount).toBe(last - 4 + 1);
  expect(body.imported + body.errorCount).toBe(1_000);
});

test.each<[name: string, body: string | Buffer, status: number, message: RegExp]>([
  ['a column twice', `token,userId,userId\n${one},a,b`, 400, /twice: "userId"/],
  [
    'columns that there are not',
    `token,usr,Tags\n${one},a,b\n${two},a,b`,
    400,
    /"usr", "Tags"; there are token, userId/,
  ],
  ['a file without a head', `${one},anna`, 400, /columns that there are not/],
  ['UTF-16', Buffer.from(`\ufefftoken\n${one}`, 'utf16le'), 415, /UTF-16/],
  ['a compressed file', Buffer.from([0x1f, 0x8b, 8, 0, 0]), 415, /compressed/],
])('%s is refused once', async (_name, body, status, message) => {
  const answer = await importOf(body);
  expect(answer.status).toBe(status);
  expect(answer.body.detail).toMatch(message);
  expect(answer.text).not.toContain(one);
});

test.each([
  ['gzip', { 'content-encoding': 'gzip' }, 'application/x-ndjson'],
  ['another charset', {}, 'text/csv; charset=iso-8859-1'],
])('%s is answered 415 on every upload', async (_name, headers, type) => {
  expect((await importOf(`{"token":"${one}"}`, type, headers)).status).toBe(415);
  const uploaded = await probe.call('POST', '/v1/uploads?app=shop', {
    headers: { 'content-type': type.replace('text/csv', 'text/plain'), ...headers },
    body: 'anna',
  });
  expect(uploaded.status).toBe(415);
});

test('a locale and a zone are stored and looked for in one spelling', async () => {
  await importOf(`token,locale,timeZone\n${one},pt_br,asia/calcutta\n`);
  expect((await probe.call('GET', `/v1/devices/${one}?app=shop`)).body).toMatchObject({
    locale: 'pt-BR',
    timeZone: 'Asia/Kolkata',
  });
  for (const audience of [
    { locales: ['PT-br'] },
    { timeZones: ['Asia/Kolkata'] },
    { timeZones: ['asia/calcutta'] },
  ]) {
    const { body } = await probe.call('POST', '/v1/broadcasts', {
      body: { app: 'shop', audience, alert: 'x', dryRun: true },
    });
    expect(body).toEqual({ devices: 1 });
  }
  const unknown = await probe.call('POST', '/v1/broadcasts', {
    body: { app: 'shop', audience: { timeZones: ['Europe/Berln'] }, alert: 'x', dryRun: true },
  });
  expect(unknown).toMatchObject({ status: 400, body: { errors: [{ field: 'audience.timeZones[0]' }] } });
});

test('a list of users that is not UTF-8 is refused whole', async () => {
  const body = Buffer.from('jos\xe9\njos\xe8\n', 'latin1');
  const answer = await probe.call('POST', '/v1/uploads?app=shop', {
    headers: { 'content-type': 'text/plain' },
    body,
  });
  expect(answer).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'line 1', message: 'is not UTF-8' }] },
  });
});

test('a file of very many lines that are wrong, or none, leaves the others their turn', async () => {
  for (const [line, errorCount] of [
    ['{"token":"zz"}\n', 200_000],
    ['\n', 0],
  ] as const) {
    let longestMs = 0;
    let lastMs = performance.now();
    const ticks = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 1);
    const { body } = await upload(
      '/v1/devices/import?app=shop',
      'application/x-ndjson',
      line.repeat(errorCount || 5_000_000),
    );
    clearInterval(ticks);
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    expect(body).toMatchObject({ imported: 0, errorCount });
    // A turn is 10 ms; read in one go it is seconds.
    expect(longestMs).toBeLessThan(500);
  }
}, 60_000);
