import { randomUUID } from 'node:crypto';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

// What comes in is kept as it is, or refused with its field or line: the same word however it comes. A row is a case, how
// it is asked, and the right answer.

let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
  await put({});
});
afterAll(async () => probe.close());

const pool = generateTokens({ count: 400, seed: 57 });
let next = 0;
const newToken = () => pool[next++]!;
const T = newToken();

/** What is compared: the status, and of the body what the row names. */
type Answer = { readonly status: number; readonly body: unknown };
type Row = [name: string, ask: () => Promise<Answer>, right: object];

const ask = async (
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  url: string,
  body?: unknown,
  type?: string,
): Promise<Answer> => {
  const headers = type === undefined ? {} : { headers: { 'content-type': type } };
  const { status, body: answer } = await probe.call(method, url, { ...headers, body });
  return { status, body: answer };
};
const json = 'application/json';
const importing = (body: string | Buffer, type: string) =>
  ask('POST', '/v1/devices/import?app=shop', body, type);
const csv = (body: string | Buffer) => importing(body, 'text/csv');
const ndjson = (body: string | Buffer) => importing(body, 'application/x-ndjson');
const upload = (body: string | Buffer, type = 'text/plain') =>
  ask('POST', '/v1/uploads?app=shop', body, type);
const put = (fields: object) => ask('PUT', `/v1/devices/${T}`, { app: 'shop', ...fields });
const send = (fields: object) =>
  ask('POST', '/v1/notifications', { app: 'shop', token: T, alert: 'x', ...fields });
/** As it is written: JSON.stringify would round. */
const sendText = (fields: string) =>
  ask('POST', '/v1/notifications', `{"app":"shop","token":"${T}","alert":"x",${fields}}`, json);
const audience = (fields: object) =>
  ask('POST', '/v1/broadcasts', { app: 'shop', audience: fields, alert: 'x', dryRun: true });
const device = async (token: string) =>
  (await ask('GET', `/v1/devices/${token}?app=shop`)).body as Record<string, unknown>;

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
const at = (field: string, status = 400) => ({ status, body: { errors: [{ field }] } });
const line = (number: number, message: string | RegExp = /./, field: unknown = expect.any(String)) => ({
  status: 200,
  body: {
    errorCount: 1,
    errors: [{ line: number, field, message: expect.stringMatching(message) }],
  },
});
const lines = (...texts: string[]) => texts.join('\n');

// ── Text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Text that can be no identity, as JSON writes it. */
const noIdentities: [name: string, asJson: string][] = [
  ['half a surrogate pair', '"ann\\ud800"'],
  ['the other half', '"\\udc00ann"'],
  ['the halves in the wrong order', '"\\udc00\\ud800"'],
  ['code 0', '"ann\\u0000"'],
  ['U+FFFD', '"jos\\ufffd"'],
];
const identityRows = noIdentities.flatMap(([name, text]): Row[] => [
  [
    `${name} in the user of a device`,
    () => ask('PUT', `/v1/devices/${T}`, `{"app":"shop","userId":${text}}`, json),
    at('userId'),
  ],
  [
    `${name} in a tag`,
    () => ask('PUT', `/v1/devices/${T}`, `{"app":"shop","tags":["a",${text}]}`, json),
    at('tags[1]'),
  ],
  [
    `${name} in the user of a send`,
    () => ask('POST', '/v1/notifications', `{"app":"shop","userId":${text},"alert":"x"}`, json),
    at('userId'),
  ],
  [
    `${name} in the user of a scheduled send`,
    () =>
      ask(
        'POST',
        '/v1/notifications',
        `{"app":"shop","userId":${text},"alert":"x","sendAt":${Math.floor(Date.now() / 1000) + 600}}`,
        json,
      ),
    at('userId'),
  ],
  [
    `${name} in the tag of an audience`,
    () =>
      ask(
        'POST',
        '/v1/broadcasts',
        `{"app":"shop","audience":{"tags":{"not":${text}}},"alert":"x","dryRun":true}`,
        json,
      ),
    at('audience.tags.not'),
  ],
  [
    `${name} in a line of an import`,
    () => ndjson(`{"token":"${newToken()}","userId":${text}}`),
    line(1, /must be text/, 'userId'),
  ],
  [`${name} in a line of an upload`, () => upload(`"ann"\n${text}`, 'application/x-ndjson'), at('line 2')],
]);

/** Bytes that are not UTF-8. */
const noUtf8: [name: string, bad: number[]][] = [
  ['Latin-1', [0xe9]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an overlong form of three bytes', [0xe0, 0x80, 0xaf]],
  ['a surrogate as three bytes', [0xed, 0xa0, 0x80]],
  ['a pair of surrogates as six bytes', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a character that is cut off', [0xf0, 0x9f, 0x98]],
  ['a continuation by itself', [0x80]],
];
const utf8Rows = noUtf8.flatMap(([name, bad]): Row[] => [
  [
    `${name} in CSV`,
    () => csv(bytes(`token,userId\n${newToken()},jos`, bad, `\n${newToken()},ann\n`)),
    {
      status: 200,
      body: { imported: 1, errorCount: 1, errors: [{ line: 2, field: 'line', message: 'is not UTF-8' }] },
    },
  ],
  [
    `${name} in NDJSON`,
    () => ndjson(bytes(`{"token":"${newToken()}","userId":"jos`, bad, `"}\n`)),
    line(1, /UTF-8/),
  ],
  [`${name} in an upload`, () => upload(bytes('ann\njos', bad, '\n')), at('line 2')],
  [
    `${name} in a request`,
    () => ask('PUT', `/v1/devices/${T}`, bytes('{"app":"shop","userId":"jos', bad, '"}'), json),
    { status: 400, body: { code: 'invalid-json' } },
  ],
]);

const utf16 = (text: string, isBig = false) => {
  const little = Buffer.from(text, 'utf16le');
  return isBig ? little.swap16() : little;
};
const head = `token,userId\n`;
const unsupported = { status: 415, body: { code: 'unsupported-media-type' } };
const fileRows: Row[] = [
  [
    'UTF-16 with its mark',
    () => csv(bytes([0xff, 0xfe], [...utf16(`${head}${newToken()},ann\n`)])),
    unsupported,
  ],
  ['UTF-16 of the other order', () => csv(bytes([0xfe, 0xff], [...utf16(head, true)])), unsupported],
  ['UTF-16 without a mark', () => ndjson(utf16(`{"token":"${newToken()}"}\n`)), unsupported],
  ['UTF-16 of the other order without a mark', () => upload(utf16('ann\n', true)), unsupported],
  ['UTF-32 with its mark', () => csv(bytes([0xff, 0xfe, 0, 0], 't')), unsupported],
  [
    'UTF-8 with its mark',
    () => csv(bytes([0xef, 0xbb, 0xbf], `${head}${newToken()},ann\n`)),
    { status: 200, body: { imported: 1, errorCount: 0 } },
  ],
  ['a mark alone', () => csv(bytes([0xef, 0xbb, 0xbf])), { status: 200, body: { imported: 0 } }],
  ['gzip', () => ndjson(bytes([0x1f, 0x8b, 8, 0], 'x')), unsupported],
  ['a spreadsheet', () => csv(bytes([0x50, 0x4b, 3, 4], 'x')), unsupported],
  ['Zstandard', () => csv(bytes([0x28, 0xb5, 0x2f, 0xfd], 'x')), unsupported],
  ['another charset', () => importing(head, 'text/csv; charset=iso-8859-1'), unsupported],
  [
    'mixed line ends',
    () => csv(`${head}${newToken()},a\r\n${newToken()},b\r${newToken()},c\n\r${newToken()},d`),
    { status: 200, body: { imported: 4, errorCount: 0 } },
  ],
  [
    'mixed line ends in NDJSON',
    () => ndjson(`{"token":"${newToken()}"}\r{"token":"${newToken()}"}\r\n{"token":"${newToken()}"}`),
    { status: 200, body: { imported: 3, errorCount: 0 } },
  ],
  ['a column twice', () => csv(`token,userId,userId\n${newToken()},a,b\n`), at('line 1')],
  ['a column that there is not', () => csv(`token,user\n${newToken()},a\n`), at('line 1')],
  ['a column in another case', () => csv(`Token\n${newToken()}\n`), at('line 1')],
  ['no head', () => csv(`${newToken()},a\n`), at('line 1')],
  [
    'a name twice in a line',
    () => ndjson(`{"token":"${newToken()}","userId":"a","userId":"b"}`),
    line(1, /twice/, 'userId'),
  ],
  [
    'a name twice in a line of an upload',
    () => upload('{"userId":"a","userId":"b"}', 'application/x-ndjson'),
    at('line 1'),
  ],
  [
    'another name in a line of an upload',
    () => upload('{"userId":"a","name":"b"}', 'application/x-ndjson'),
    at('line 1'),
  ],
  [
    'a quote that is not closed',
    () => csv(`${head}"${newToken()},a\n${newToken()},b\n${newToken()},c`),
    {
      status: 200,
      body: {
        imported: 0,
        errorCount: 3,
        errors: [{ line: 2, message: expect.stringMatching(/lines 2 to 4/) }],
      },
    },
  ],
  ['text after a quote', () => csv(`${head}${newToken()},"a"b\n`), line(2, /closing quote/)],
  ['a quote in the middle', () => csv(`${head}${newToken()},a"b\n`), line(2, /quote/)],
  ['a quote after a blank', () => csv(`${head}${newToken()}, "a"\n`), line(2, /quote/)],
  ['too few fields', () => csv(`${head}${newToken()}\n`), line(2, /has 1 fields/)],
];

// ── Tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const joiners: [name: string, by: string][] = [
  ['a line feed', '\\n'],
  ['a tab', '\\t'],
  ['a no-break space', '\\u00a0'],
  ['a zero-width space', '\\u200b'],
  ['a zero-width joiner', '\\u200d'],
  ['a byte order mark', '\\ufeff'],
  ['a comma', ','],
  ['code 0', '\\u0000'],
];
const tokenRows = joiners.flatMap(([name, by]): Row[] => [
  [
    `two tokens joined by ${name}`,
    () => ask('POST', '/v1/notifications', `{"app":"shop","token":"${T}${by}${T}","alert":"x"}`, json),
    at('token'),
  ],
  [`the same in an import`, () => ndjson(`{"token":"${T}${by}${T}"}`), line(1, /./, 'token')],
]);
const moreTokenRows: Row[] = [
  [
    'a zero-width space in the middle',
    () => send({ token: `${T.slice(0, 10)}\u200b${T.slice(10)}` }),
    at('token'),
  ],
  ['a zero-width space at the end', () => send({ token: `${T}\u200b` }), at('token')],
  ['blanks around', () => send({ token: ` ${T} ` }), { status: 202 }],
  ['full-width digits', () => send({ token: T.replace(/\d/, '０') }), at('token')],
  ['a digit too few', () => send({ token: T.slice(1) }), at('token')],
  [
    'the description that iOS prints',
    () => send({ token: '{length = 32, bytes = 0x1234 ... }' }),
    at('token'),
  ],
];

// ── Numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const big = '9007199254740993';
const numberRows: Row[] = [
  ...[
    'badge',
    'ttl',
    'timestamp',
    'staleDate',
    'dismissalDate',
    'priority',
    'sendAt',
    'expiresAt',
    'relevanceScore',
  ].map((field): Row => [`2^53 + 1 in ${field}`, () => sendText(`"${field}":${big}`), { status: 400 }]),
  ['2^53 + 1 in custom data', () => sendText(`"custom":{"a":{"id":${big}}}`), at('custom.a.id')],
  ['2^53 + 1 in a list', () => sendText(`"custom":{"ids":[1,${big}]}`), at('custom.ids[1]')],
  ['-2^53 - 1', () => sendText(`"custom":{"id":-${big}}`), at('custom.id')],
  [
    '2^53 + 1 in a payload',
    () =>
      ask(
        'POST',
        '/v1/notifications',
        `{"app":"shop","token":"${T}","payload":{"aps":{"alert":"x"},"id":${big}}}`,
        json,
      ),
    at('payload.id'),
  ],
  [
    '2^53 + 1 for later, to a user',
    () =>
      ask(
        'POST',
        '/v1/notifications',
        `{"app":"shop","userId":"ann","alert":"x","custom":{"id":${big}},"sendAt":${Math.floor(Date.now() / 1000) + 600}}`,
        json,
      ),
    at('custom.id'),
  ],
  ['2^53 - 1', () => sendText('"custom":{"id":9007199254740991}'), { status: 202 }],
  [
    'more digits than a fraction holds',
    () => sendText('"custom":{"x":0.12345678901234567890}'),
    at('custom.x'),
  ],
  ['a number that would be infinite', () => sendText('"custom":{"x":1e400}'), at('custom.x')],
  ['a number that would be 0', () => sendText('"custom":{"x":1e-400}'), at('custom.x')],
  ['a name twice', () => sendText('"custom":{"a":1,"a":2}'), at('custom.a')],
  ['a name twice, once with an escape', () => sendText('"custom":{"a":1,"\\u0061":2}'), at('custom.a')],
  [
    'a user that is a number',
    () => ask('POST', '/v1/notifications', { app: 'shop', userId: 7, alert: 'x' }),
    { status: 400 },
  ],
  [
    'spread over 2^53 + 1',
    () =>
      ask(
        'POST',
        '/v1/broadcasts',
        `{"app":"shop","audience":{"all":true},"alert":"x","spreadOver":${big}}`,
        json,
      ),
    at('spreadOver'),
  ],
  ['a limit of 2^53 + 1', () => ask('GET', `/v1/broadcasts?app=shop&limit=${big}`), at('limit')],
  [
    'exceptions after 2^53 + 1',
    () => ask('GET', `/v1/batches/${randomUUID()}/exceptions?after=${big}`),
    { status: 400 },
  ],
  [
    'deliveries before 2^64',
    () => ask('GET', `/v1/webhooks/${randomUUID()}/deliveries?before=18446744073709551616`),
    { status: expect.toSatisfy((status: number) => status === 400 || status === 404) },
  ],
];

// ── Times ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** No time is written so. */
const noTimes: [name: string, text: string][] = [
  ['the 31st of February', '2030-02-31T12:00:00Z'],
  ['the 29th of February of no leap year', '2100-02-29T12:00:00Z'],
  ['the 31st of April', '2030-04-31T12:00:00Z'],
  ['month 13', '2030-13-01T12:00:00Z'],
  ['day 0', '2030-01-00T12:00:00Z'],
  ['a leap second', '2030-06-30T23:59:60Z'],
  ['hour 24', '2030-01-01T24:00:00Z'],
  ['the year 0', '0000-01-01T00:00:00Z'],
  ['the year 10000', '10000-01-01T00:00:00Z'],
  ['the year +10000', '+010000-01-01T00:00:00Z'],
  ['the year -1', '-000001-01-01T00:00:00Z'],
  ['no zone', '2030-01-01T12:00:00'],
  ['a zone of 24 hours', '2030-01-01T12:00:00+24:00'],
  ['a zone without a colon', '2030-01-01T12:00:00+0100'],
  ['a blank instead of T', '2030-01-01 12:00:00Z'],
  ['a date alone', '2030-01-01'],
  ['a week', '2030-W01-1T12:00:00Z'],
  ['full-width digits', '２030-01-01T12:00:00Z'],
  ['a blank before it', ' 2030-01-01T12:00:00Z'],
];
const timeRows = noTimes.flatMap(([name, text]): Row[] => [
  [`${name} in sendAt`, () => send({ sendAt: text }), at('sendAt')],
  [
    `${name} in sendAt of a send to a user`,
    () => ask('POST', '/v1/notifications', { app: 'shop', userId: 'ann', alert: 'x', sendAt: text }),
    at('sendAt'),
  ],
  [`${name} in expiresAt`, () => send({ expiresAt: text }), at('expiresAt')],
  [
    `${name} in sendAt of a broadcast`,
    () => ask('POST', '/v1/broadcasts', { app: 'shop', audience: { all: true }, alert: 'x', sendAt: text }),
    at('sendAt'),
  ],
  [
    `${name} in an import`,
    () => ndjson(JSON.stringify({ token: newToken(), registeredAt: text })),
    line(1, /./, 'registeredAt'),
  ],
]);
const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
const moreTimeRows: Row[] = [
  [
    'a registration two hours ahead',
    () => ndjson(JSON.stringify({ token: newToken(), registeredAt: inMinutes(120) })),
    line(1, /future/, 'registeredAt'),
  ],
  [
    'a registration of 2099',
    () => csv(`token,registeredAt\n${newToken()},2099-01-01T00:00:00Z\n`),
    line(2, /future/, 'registeredAt'),
  ],
  [
    'a registration of 2007',
    () => csv(`token,registeredAt\n${newToken()},2007-12-31T23:59:59Z\n`),
    line(2, /2008/, 'registeredAt'),
  ],
  [
    'a registration by a clock that is a minute ahead',
    () => ndjson(JSON.stringify({ token: newToken(), registeredAt: inMinutes(1) })),
    { status: 200, body: { imported: 1 } },
  ],
  [
    'a leap day',
    () => ndjson(JSON.stringify({ token: newToken(), registeredAt: '2024-02-29T23:59:59.999+01:00' })),
    { status: 200, body: { imported: 1 } },
  ],
  ['milliseconds for seconds', () => send({ sendAt: Date.now() + 60_000 }), at('sendAt')],
  ['31 days ahead', () => send({ sendAt: inMinutes(31 * 1_440) }), at('sendAt')],
  [
    'an expiration before it goes out',
    () => send({ sendAt: inMinutes(60), expiresAt: inMinutes(30) }),
    at('expiresAt'),
  ],
  ['an expiration beyond 32 bits', () => send({ expiresAt: 4_294_967_296 }), at('expiresAt')],
  ['a negative time', () => send({ sendAt: -1 }), at('sendAt')],
];

// ── Zones and locales ─────────────────────────────────────────────────────────────────────────────────────────────────

/** How it is written, and how it is kept; undefined: it is refused. */
const zones: [written: string, kept: string | undefined][] = [
  ['europe/berlin', 'Europe/Berlin'],
  ['EUROPE/BERLIN', 'Europe/Berlin'],
  ['Europe/Kiev', 'Europe/Kyiv'],
  ['Asia/Calcutta', 'Asia/Kolkata'],
  ['Asia/Saigon', 'Asia/Ho_Chi_Minh'],
  ['Asia/Katmandu', 'Asia/Kathmandu'],
  ['America/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
  ['US/Pacific', 'America/Los_Angeles'],
  ['US/Eastern', 'America/New_York'],
  ['Pacific/Enderbury', 'Pacific/Kanton'],
  ['utc', 'UTC'],
  ['Etc/UTC', 'UTC'],
  ['GMT', 'UTC'],
  ['Zulu', 'UTC'],
  ['+0100', '+01:00'],
  ['Europe/Berln', undefined],
  ['BST', undefined],
  ['ist', undefined],
  ['PST', undefined],
  ['GMT+1', undefined],
  ['+24:00', undefined],
  [' Europe/Berlin', undefined],
  ['Europe/Berlin\u200b', undefined],
  ['Europe/Berlin\0', undefined],
  ['', undefined],
];
const locales: [written: string, kept: string | undefined][] = [
  ['de_DE', 'de-DE'],
  ['DE-de', 'de-DE'],
  ['zh_hans_cn', 'zh-Hans-CN'],
  ['iw', 'he'],
  ['in_ID', 'id-ID'],
  ['sr_YU', 'sr-RS'],
  ['en_US_POSIX', 'en-US-u-va-posix'],
  ['en_US@calendar=japanese', undefined],
  ['de-', undefined],
  ['de__DE', undefined],
  ['C', undefined],
  ['x-private', undefined],
  ['de\u200b', undefined],
  ['dé', undefined],
  ['', undefined],
];
const fields = [
  ['timeZone', 'timeZones', zones],
  ['locale', 'locales', locales],
] as const;
const spellingRows = fields.flatMap(([field, list, cases]) =>
  cases.flatMap(([written, kept]): Row[] => {
    const told = `${field} ${JSON.stringify(written)}`;
    const read = async () => ({ status: 200, body: await device(T) });
    if (kept === undefined) {
      return [
        [`${told} of a device`, () => put({ [field]: written }), at(field)],
        [
          `${told} of an audience`,
          () => audience({ [list]: [field === 'locale' ? 'de' : 'UTC', written] }),
          { status: 400, body: { errors: [{ field: `audience.${list}[1]` }] } },
        ],
        [
          `${told} of an import`,
          () => ndjson(JSON.stringify({ token: newToken(), [field]: written })),
          line(1, /./, field),
        ],
      ];
    }
    return [
      [
        `${told} of a device`,
        async () => {
          await put({ [field]: written });
          return read();
        },
        { status: 200, body: { [field]: kept } },
      ],
      [
        `${told} of an audience`,
        () => audience({ [list]: [written] }),
        { status: 200, body: { devices: 1 } },
      ],
    ];
  }),
);

const rows: Row[] = [
  ...identityRows,
  ...utf8Rows,
  ...fileRows,
  ...tokenRows,
  ...moreTokenRows,
  ...numberRows,
  ...timeRows,
  ...moreTimeRows,
  ...spellingRows,
];

test.each(rows)('%s', async (_name, asked, right) => {
  expect(await asked()).toMatchObject(right);
});

// ── What a file says of a device more than once ───────────────────────────────────────────────────────────────────────

test('a device that comes twice in a file is registered twice, in its order', async () => {
  const token = newToken();
  const { body } = await ndjson(
    lines(
      JSON.stringify({ token, userId: 'ann', tags: ['a'], locale: 'de' }),
      JSON.stringify({ token, tags: ['b'] }),
      JSON.stringify({ token, locale: null }),
    ),
  );
  expect(body).toMatchObject({ imported: 3, created: 1, errorCount: 0 });
  expect(await device(token)).toMatchObject({ userId: 'ann', tags: ['b'], locale: null });
});

test('a token that is replaced in the file that brought it is replaced', async () => {
  const [one, two, three] = [newToken(), newToken(), newToken()];
  const { body } = await csv(
    lines('token,previousToken,userId', `${one},,ann`, `${two},${one},`, `${three},${two},`),
  );
  expect(body).toMatchObject({ imported: 3, created: 3 });
  expect(await device(three)).toMatchObject({ userId: 'ann', active: true });
  for (const gone of [one, two]) expect(await device(gone)).toMatchObject({ code: 'unknown-device' });
});

test('names that look alike stay apart, in a file as in a request', async () => {
  const names = ['josé', 'jose\u0301', 'anna\u00a0', '\u00a0anna', 'anna\u200b', 'anna\ufeff'];
  const tokens = names.map(newToken);
  const { body } = await csv(
    lines('token,userId', ...tokens.map((token, place) => `${token},${names[place]}`)),
  );
  expect(body).toMatchObject({ imported: names.length, errorCount: 0 });
  for (const [place, token] of tokens.entries())
    expect(await device(token)).toMatchObject({ userId: names[place] });
  const { body: listed } = await upload(lines(...names, names[0]!));
  expect(listed).toMatchObject({ users: names.length });
});

test('blanks without end between two words cost no time', async () => {
  const long = `a${' '.repeat(60_000)}b`;
  const { body } = await upload(lines(...Array.from({ length: 40 }, () => long)));
  expect(body).toMatchObject({ errors: [{ field: 'line 1' }] });
  const { body: imported } = await csv(
    lines('token,userId', ...Array.from({ length: 40 }, () => `${newToken()},${long}`)),
  );
  expect(imported).toMatchObject({ errorCount: 40 });
}, 20_000);
