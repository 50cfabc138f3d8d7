import type { OutgoingHttpHeaders } from 'node:http2';
import { afterAll, expect } from 'vitest';
import type { Http2Client, PushOptions } from './http2-client.ts';
import { bearer } from './provider-tokens.ts';
import { removeCertificates, test, tokenOf } from './simulator-test.ts';

// Requests and the answers that Apple's pages give them ("Sending notification requests to APNs", "Handling
// notification responses from APNs"), typed by hand: what the simulator takes, Apple takes.

afterAll(removeCertificates);

type Row = readonly [
  request: string,
  answer: 200 | string,
  headers: OutgoingHttpHeaders,
  options?: PushOptions,
];

const bundle = 'com.example.shop';
const ofSize = (bytes: number): PushOptions => ({ body: `{"a":"${'x'.repeat(bytes - 8)}"}` });
const withToken = (token: string): PushOptions => ({ path: `/3/device/${token}` });
const onlyContent = '{"aps":{"content-available":1},"id":7}';

const rows: readonly Row[] = [
  ['an alert', 200, { 'apns-push-type': 'alert' }],
  ['no push type', 200, {}],
  ['a push type in capitals', 'InvalidPushType', { 'apns-push-type': 'Alert' }],
  ['an empty push type', 'InvalidPushType', { 'apns-push-type': '' }],

  ['a token of 32 bytes in capitals', 200, {}, withToken('AB'.repeat(32))],
  ['a token of 1 byte', 'BadDeviceToken', {}, withToken('ab')],
  ['a token of 31 bytes', 'BadDeviceToken', {}, withToken('ab'.repeat(31))],
  ['a token of 33 bytes', 'BadDeviceToken', {}, withToken('ab'.repeat(33))],
  ['a token in base64', 'BadDeviceToken', {}, withToken(Buffer.alloc(32, 0xfb).toString('base64url'))],
  ['a token with a query', 'BadDeviceToken', {}, withToken(`${'ab'.repeat(32)}?a=1`)],
  ['no token', 'MissingDeviceToken', {}, withToken('')],
  ['no token and no slash', 'MissingDeviceToken', {}, { path: '/3/device' }],
  ['another path', 'BadPath', {}, { path: `/2/device/${'ab'.repeat(32)}` }],
  ['a GET', 'MethodNotAllowed', {}, { method: 'GET', body: '' }],
  ['a PUT', 'MethodNotAllowed', {}, { method: 'PUT' }],

  ['priority 10', 200, { 'apns-priority': '10' }],
  ['priority 5', 200, { 'apns-priority': '5' }],
  ['priority 1', 200, { 'apns-priority': '1' }],
  ['priority 0', 'BadPriority', { 'apns-priority': '0' }],
  ['priority 05', 'BadPriority', { 'apns-priority': '05' }],
  ['priority high', 'BadPriority', { 'apns-priority': 'high' }],
  ['background at priority 5', 200, { 'apns-push-type': 'background', 'apns-priority': '5' }],
  ['background at priority 10', 'BadPriority', { 'apns-push-type': 'background', 'apns-priority': '10' }],
  ['background at priority 1', 'BadPriority', { 'apns-push-type': 'background', 'apns-priority': '1' }],
  ['background at no priority, which is 10', 'BadPriority', { 'apns-push-type': 'background' }],
  ['content-available alone at 10', 'BadPriority', { 'apns-priority': '10' }, { body: onlyContent }],
  ['content-available alone, 10 by default', 'BadPriority', {}, { body: onlyContent }],
  [
    'content-available alone as an alert',
    'BadPriority',
    { 'apns-push-type': 'alert' },
    { body: onlyContent },
  ],
  ['content-available alone at 5', 200, { 'apns-priority': '5' }, { body: onlyContent }],
  [
    'content-available with a badge at 10',
    200,
    { 'apns-priority': '10' },
    { body: '{"aps":{"content-available":1,"badge":0}}' },
  ],

  ['an expiration of 0', 200, { 'apns-expiration': '0' }],
  ['an expiration in seconds', 200, { 'apns-expiration': '1893456000' }],
  ['an expiration in milliseconds', 'BadExpirationDate', { 'apns-expiration': '1893456000000' }],
  ['a negative expiration', 'BadExpirationDate', { 'apns-expiration': '-1' }],
  ['an expiration with a fraction', 'BadExpirationDate', { 'apns-expiration': '1893456000.5' }],
  ['an empty expiration', 'BadExpirationDate', { 'apns-expiration': '' }],

  ['a collapse id of 64 bytes', 200, { 'apns-collapse-id': 'x'.repeat(64) }],
  ['a collapse id of 65 bytes', 'BadCollapseId', { 'apns-collapse-id': 'x'.repeat(65) }],
  ['an empty collapse id', 'BadCollapseId', { 'apns-collapse-id': '' }],

  ['an id', 200, { 'apns-id': '123e4567-e89b-12d3-a456-4266554400a0' }],
  ['an id in capitals', 'BadMessageId', { 'apns-id': '123E4567-E89B-12D3-A456-4266554400A0' }],
  ['an id without hyphens', 'BadMessageId', { 'apns-id': '123e4567e89b12d3a4564266554400a0' }],
  ['an empty id', 'BadMessageId', { 'apns-id': '' }],

  ['a priority given twice', 'DuplicateHeaders', { 'apns-priority': ['10', '10'] }],
  ['another header given twice', 'DuplicateHeaders', { 'x-trace': ['a', 'b'] }],

  ['4,096 bytes', 200, {}, ofSize(4_096)],
  ['4,097 bytes', 'PayloadTooLarge', {}, ofSize(4_097)],
  ['5,120 bytes of VoIP', 200, voip('voip'), ofSize(5_120)],
  ['5,121 bytes of VoIP', 'PayloadTooLarge', voip('voip'), ofSize(5_121)],
  ['5,120 bytes of VoIP by its topic', 200, voip(undefined), ofSize(5_120)],
  ['5,120 bytes of PushToTalk', 'PayloadTooLarge', toTopic('pushtotalk', '.voip-ptt'), ofSize(5_120)],
  ['no payload', 'PayloadEmpty', {}, { body: '' }],
  ['the empty payload of Wallet', 200, {}, { body: '{}' }],

  ['no topic', 'MissingTopic', { 'apns-topic': undefined }],
  ['a topic with a space', 'BadTopic', { 'apns-topic': 'com example' }],
  ['voip to the app itself', 'BadTopic', toTopic('voip', '')],
  ['an alert to a suffix', 'BadTopic', toTopic('alert', '.voip')],
  ['complication', 200, toTopic('complication', '.complication')],
  ['fileprovider', 200, toTopic('fileprovider', '.pushkit.fileprovider')],
  ['location', 200, toTopic('location', '.location-query')],
  ['liveactivity', 200, toTopic('liveactivity', '.push-type.liveactivity')],
  ['widgets', 200, toTopic('widgets', '.push-type.widgets')],
  ['controls', 200, toTopic('controls', '.push-type.controls')],
  ['pushtotalk', 200, toTopic('pushtotalk', '.voip-ptt')],
];

function voip(pushType: string | undefined): OutgoingHttpHeaders {
  return {
    'apns-topic': `${bundle}.voip`,
    ...(pushType === undefined ? {} : { 'apns-push-type': pushType }),
  };
}

function toTopic(pushType: string, suffix: string): OutgoingHttpHeaders {
  return { 'apns-topic': bundle + suffix, 'apns-push-type': pushType };
}

/** Those of the table that do not get their answer. */
async function wrongAnswers(client: Http2Client, table: readonly Row[]): Promise<unknown[]> {
  const answers = await Promise.all(
    table.map(async ([request, expected, headers, options]) => {
      const { status, reason } = await client.push(headers, options);
      return { request, expected, answer: reason ?? status };
    }),
  );
  return answers.filter(({ expected, answer }) => expected !== answer);
}

test('with a provider token', async ({ simulator }) => {
  const client = await simulator.connectHttp2({
    identity: undefined,
    headers: bearer(simulator.providerKey),
  });
  expect(await wrongAnswers(client, rows)).toEqual([]);
  await client.close();
});

test('with a certificate, which serves what its topics are and nothing that needs a token', async ({
  simulator,
}) => {
  const client = await simulator.connectHttp2();
  expect(
    await wrongAnswers(client, [
      ['an alert', 200, { 'apns-push-type': 'alert' }],
      ['a provider token beside it', 200, { authorization: 'bearer nonsense' }],
      ['VoIP', 200, voip('voip')],
      ['a complication', 200, toTopic('complication', '.complication')],
      ['a topic that is not listed', 'TopicDisallowed', toTopic('widgets', '.push-type.widgets')],
      ['location', 'TopicDisallowed', toTopic('location', '.location-query')],
      ['liveactivity', 'TopicDisallowed', toTopic('liveactivity', '.push-type.liveactivity')],
      ['no topic of several', 'MissingTopic', { 'apns-topic': undefined }],
    ]),
  ).toEqual([]);
  await client.close();
});

test('a certificate that lists Live Activities serves them no more than another', async ({ simulator }) => {
  const topic = `${bundle}.push-type.liveactivity`;
  const client = await simulator.connectHttp2({ identity: await simulator.issue('activities', topic) });
  expect(
    await wrongAnswers(client, [
      ['liveactivity', 'TopicDisallowed', toTopic('liveactivity', '.push-type.liveactivity')],
    ]),
  ).toEqual([]);
  await client.close();
});

test('without certificate, by what the provider token is', async ({ simulator }) => {
  const { providerKey } = simulator;
  const { authorization } = bearer(providerKey);
  const [header, claims, signature] = authorization.slice('bearer '.length).split('.');
  const otherClaims = (change: object): string => {
    const read = JSON.parse(Buffer.from(claims!, 'base64url').toString()) as object;
    return Buffer.from(JSON.stringify({ ...read, ...change })).toString('base64url');
  };
  const client = await simulator.connectHttp2({ identity: undefined });
  const table: readonly Row[] = [
    ['none', 'MissingProviderToken', {}],
    ['an empty header', 'MissingProviderToken', { authorization: '' }],
    ['the scheme alone', 'MissingProviderToken', { authorization: 'bearer' }],
    ['another scheme', 'InvalidProviderToken', { authorization: authorization.replace('bearer', 'basic') }],
    ['no scheme', 'InvalidProviderToken', { authorization: authorization.slice('bearer '.length) }],
    ['something after it', 'InvalidProviderToken', { authorization: `${authorization} more` }],
    ['padding', 'InvalidProviderToken', { authorization: `${authorization}==` }],
    ['a part too many', 'InvalidProviderToken', { authorization: `${authorization}.a` }],
    ['no signature', 'InvalidProviderToken', { authorization: `bearer ${header}.${claims}.` }],
    [
      'changed claims',
      'InvalidProviderToken',
      { authorization: `bearer ${header}.${otherClaims({ iat: 1 })}.${signature}` },
    ],
    ['a key that is not known', 'InvalidProviderToken', bearer({ ...providerKey, keyId: 'UNKNOWNKEY' })],
    ['another team', 'InvalidProviderToken', bearer({ ...providerKey, teamId: 'OTHERTEAM1' })],
    [
      'an hour and a minute old',
      'ExpiredProviderToken',
      bearer({ ...providerKey, issuedAtMs: Date.now() - 3_660_000 }),
    ],
    [
      'ten minutes ahead',
      'InvalidProviderToken',
      bearer({ ...providerKey, issuedAtMs: Date.now() + 600_000 }),
    ],
    ['good', 200, { authorization }],
    ['good, in capitals', 200, { authorization: authorization.replace('bearer', 'Bearer') }],
    [
      'another within 20 minutes',
      'TooManyProviderTokenUpdates',
      bearer({ ...providerKey, issuedAtMs: Date.now() - 120_000 }),
    ],
  ];
  // One after the other: the order of tokens is what some of them are about.
  const wrong: unknown[] = [];
  for (const row of table) wrong.push(...(await wrongAnswers(client, [row])));
  expect(wrong).toEqual([]);
  await client.close();
});

test('every answer of the gateway carries an id, and every refusal a reason as JSON', async ({
  simulator,
}) => {
  const client = await simulator.connectHttp2();
  const taken = await client.push({ 'apns-id': '123e4567-e89b-12d3-a456-4266554400a0' });
  expect(taken.headers['apns-id']).toBe('123e4567-e89b-12d3-a456-4266554400a0');
  expect(taken.body).toBe('');
  const refused = await client.push(
    { 'apns-priority': '7' },
    { path: `/3/device/${tokenOf(1).toString('hex')}` },
  );
  expect(refused).toMatchObject({ status: 400, body: '{"reason":"BadPriority"}' });
  expect(refused.headers['apns-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  await client.close();
});
