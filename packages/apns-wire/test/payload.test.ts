import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildPayload,
  encodeRawPayload,
  type PayloadContent,
  PayloadError,
  payloadLimits,
  requiredPriority,
} from '../src/payload/index.ts';

const limit = payloadLimits.http2;
const json = (content: PayloadContent) => buildPayload(content, { limit }).text;

describe('content becomes the JSON that Apple shows', () => {
  test.each<[string, PayloadContent, string]>([
    ['an alert as text', { alert: 'Hello' }, '{"aps":{"alert":"Hello"}}'],
    [
      'an alert as dictionary, with a custom key',
      {
        alert: { title: 'Game Request', subtitle: 'Five Card Draw', body: 'Bob wants to play poker' },
        category: 'GAME_INVITATION',
        custom: { gameID: '12345678' },
      },
      '{"aps":{"alert":{"title":"Game Request","subtitle":"Five Card Draw","body":"Bob wants to play poker"},' +
        '"category":"GAME_INVITATION"},"gameID":"12345678"}',
    ],
    ['badge and sound', { badge: 9, sound: 'bingbong.aiff' }, '{"aps":{"badge":9,"sound":"bingbong.aiff"}}'],
    ['a badge to be removed', { badge: 0 }, '{"aps":{"badge":0}}'],
    [
      'localisation keys and arguments',
      {
        alert: {
          titleLocKey: 'T',
          titleLocArgs: ['a'],
          subtitleLocKey: 'S',
          subtitleLocArgs: ['b'],
          locKey: 'GAME_PLAY_REQUEST_FORMAT',
          locArgs: ['Jenna', 'Frank'],
          actionLocKey: null,
          launchImage: 'launch.png',
        },
      },
      '{"aps":{"alert":{"title-loc-key":"T","title-loc-args":["a"],"subtitle-loc-key":"S","subtitle-loc-args":["b"],' +
        '"loc-key":"GAME_PLAY_REQUEST_FORMAT","loc-args":["Jenna","Frank"],"action-loc-key":null,' +
        '"launch-image":"launch.png"}}}',
    ],
    [
      'a critical sound',
      { sound: { critical: true, name: 'alarm.aiff', volume: 0.5 } },
      '{"aps":{"sound":{"critical":1,"name":"alarm.aiff","volume":0.5}}}',
    ],
    [
      'a background push',
      { contentAvailable: true, custom: { acme1: 'bar', acme2: 42 } },
      '{"aps":{"content-available":1},"acme1":"bar","acme2":42}',
    ],
    [
      'everything else of a notification',
      {
        mutableContent: true,
        contentAvailable: false,
        threadId: 't',
        targetContentId: 'w',
        interruptionLevel: 'time-sensitive',
        relevanceScore: 0.25,
        filterCriteria: 'f',
        urlArgs: ['u'],
        contentChanged: true,
      },
      '{"aps":{"mutable-content":1,"thread-id":"t","target-content-id":"w","interruption-level":"time-sensitive",' +
        '"relevance-score":0.25,"filter-criteria":"f","url-args":["u"],"content-changed":true}}',
    ],
    [
      'a Live Activity update',
      {
        timestamp: 1168364460,
        event: 'update',
        contentState: { currentHealthLevel: 0.941, eventDescription: 'Power Panda found a sword!' },
        staleDate: 1168364470,
        dismissalDate: 1168364480,
        relevanceScore: 100,
        attributesType: 'AdventureAttributes',
        attributes: { hero: 'Power Panda' },
        inputPushToken: true,
        inputPushChannel: 'dHN0LXNyY2gtY2hubA==',
      },
      '{"aps":{"timestamp":1168364460,"event":"update","content-state":{"currentHealthLevel":0.941,' +
        '"eventDescription":"Power Panda found a sword!"},"stale-date":1168364470,"dismissal-date":1168364480,' +
        '"relevance-score":100,"attributes-type":"AdventureAttributes","attributes":{"hero":"Power Panda"},' +
        '"input-push-token":1,"input-push-channel":"dHN0LXNyY2gtY2hubA=="}}',
    ],
    ['nothing at all', {}, '{"aps":{}}'],
    [
      'custom values of every kind of JSON',
      { custom: { a: null, b: [1, 'x', [true]], c: { d: {} }, e: undefined } },
      '{"aps":{},"a":null,"b":[1,"x",[true]],"c":{"d":{}}}',
    ],
  ])('%s', (_name, content, expected) => {
    expect(json(content)).toBe(expected);
    const raw = encodeRawPayload(JSON.parse(expected), { limit });
    expect(raw.text).toBe(expected);
  });
});

describe('a wrong value is refused with the name of its field', () => {
  test.each<[string, unknown]>([
    ['alert', { alert: 5 }],
    ['alert', { alert: null }],
    ['alert', { alert: ['x'] }],
    ['alert', { alert: 'half \ud83d' }],
    ['alert.title', { alert: { title: 5 } }],
    ['alert.body', { alert: { body: 'half \ude00 character' } }],
    ['alert.locArgs', { alert: { locArgs: 'Jenna' } }],
    ['alert.locArgs[1]', { alert: { locArgs: ['Jenna', 1] } }],
    ['alert.boddy', { alert: { boddy: 'x' } }],
    ['badge', { badge: -1 }],
    ['badge', { badge: 1.5 }],
    ['badge', { badge: '1' }],
    ['sound', { sound: 1 }],
    ['sound.name', { sound: { critical: true } }],
    ['sound.volume', { sound: { name: 'x', volume: 1.1 } }],
    ['sound.critical', { sound: { name: 'x', critical: 1 } }],
    ['sound.loud', { sound: { name: 'x', loud: 1 } }],
    ['threadId', { threadId: 7 }],
    ['category', { category: {} }],
    ['contentAvailable', { contentAvailable: 1 }],
    ['mutableContent', { mutableContent: 'yes' }],
    ['interruptionLevel', { interruptionLevel: 'loud' }],
    ['relevanceScore', { relevanceScore: 2 }],
    ['relevanceScore', { relevanceScore: Number.NaN }],
    ['relevanceScore', { relevanceScore: '1', contentState: {} }],
    ['event', { event: 'stop' }],
    ['timestamp', { timestamp: -5 }],
    ['contentState', { contentState: [] }],
    ['contentState.at', { contentState: { at: new Date(0) } }],
    ['contentChanged', { contentChanged: 1 }],
    ['alerts', { alerts: 'x' }],
    ['custom', { custom: [] }],
    ['custom.aps', { custom: { aps: {} } }],
    ['custom.score', { custom: { score: Number.POSITIVE_INFINITY } }],
    ['custom.a.b[1].c', { custom: { a: { b: [0, { c: () => 1 }] } } }],
    ['custom.a', { custom: { a: 10n } }],
    ['custom.a[0]', { custom: { a: [undefined] } }],
    ['custom.a', { custom: { a: new Map() } }],
    ['custom.a', { custom: { a: { '\ud800': 1 } } }],
    ['custom', { custom: { '\ud800': 1 } }],
    ['custom.__proto__', { custom: JSON.parse('{"__proto__":1}') }],
    ['custom.a.__proto__', { custom: JSON.parse('{"a":{"__proto__":1}}') }],
    ['custom.id', { custom: { id: 2 ** 53 } }],
    ['custom.ids[1]', { custom: { ids: [1, -(2 ** 60)] } }],
    ['payload', null],
    ['payload', 'text'],
  ])('%s', (field, content) => {
    const error = caught(() => buildPayload(content as PayloadContent, { limit }));
    expect(error).toMatchObject({ name: 'PayloadError', code: 'payload-invalid', field });
    expect(error.message.startsWith(`${field}: `)).toBe(true);
  });

  test.each<[string, unknown]>([
    ['payload.aps', { x: 1 }],
    ['payload.aps', { aps: null }],
    ['payload.aps', { aps: 'x' }],
    ['payload', []],
    ['payload.aps.content-available', { aps: { 'content-available': true } }],
    ['payload.aps.mutable-content', { aps: { 'mutable-content': 2 } }],
    ['payload.aps.sound.critical', { aps: { sound: { name: 'x', critical: true } } }],
    ['payload.aps.new-in-ios-30.x', { aps: { 'new-in-ios-30': { x: Number.NaN } } }],
    ['payload.key', { aps: {}, key: Symbol('x') }],
  ])('%s of a raw payload', (field, payload) => {
    expect(caught(() => encodeRawPayload(payload, { limit }))).toMatchObject({
      code: 'payload-invalid',
      field,
    });
  });

  test('a cycle ends in an error, not in an overflow', () => {
    const cycle: Record<string, unknown> = {};
    cycle.again = cycle;
    expect(caught(() => encodeRawPayload({ aps: {}, cycle }, { limit })).message).toMatch(
      /nested more than 64 deep/,
    );
  });
});

test('a raw payload keeps keys of aps that are new to us', () => {
  const payload = { aps: { alert: 'x', 'new-in-ios-30': { x: [1] } } };
  expect(encodeRawPayload(payload, { limit }).text).toBe(JSON.stringify(payload));
});

test('only a push with nothing but content-available must have priority 5', () => {
  expect(buildPayload({ contentAvailable: true, custom: { a: 1 } }, { limit }).requiredPriority).toBe(5);
  expect(requiredPriority({ 'content-available': 1 })).toBe(5);
  expect(requiredPriority({ 'content-available': 0 })).toBeUndefined();
  expect(requiredPriority({ 'content-available': 1, badge: 0 })).toBeUndefined();
  expect(requiredPriority({ 'content-available': 1, sound: 'default' })).toBeUndefined();
  expect(requiredPriority({ 'content-available': 1, alert: 'x' })).toBeUndefined();
  expect(requiredPriority(undefined)).toBeUndefined();
});

describe('the size is counted in UTF-8 bytes', () => {
  // {"aps":{"alert":""}} is 20 bytes, and each é is 2.
  const alert = 'é'.repeat(118);

  test('a payload at the limit passes, one byte more does not', () => {
    expect(buildPayload({ alert }, { limit: 256 }).bytes).toBe(256);
    const error = caught(() => buildPayload({ alert: `${alert}!` }, { limit: 256 }));
    expect(error).toMatchObject({ code: 'payload-too-large', field: 'payload' });
    expect(error.message).toBe('payload: 257 bytes; the limit is 256');
  });
});

describe('a body that is too long is shortened on request', () => {
  const shorten = (content: PayloadContent, at: number) => {
    const result = buildPayload(content, { limit: at, truncate: true });
    return { ...result, value: JSON.parse(result.text) as { aps: { alert: unknown } } };
  };

  test('with an ellipsis, and says so', () => {
    // 20 bytes around the text, which leaves 13: ten letters and the ellipsis.
    const { value, truncated, bytes } = shorten({ alert: 'abcdefghijklmnop' }, 33);
    expect(value).toEqual({ aps: { alert: 'abcdefghij…' } });
    expect(truncated).toBe(true);
    expect(bytes).toBe(33);
  });

  test('but not when it fits', () => {
    const { value, truncated } = shorten({ alert: 'abcdefghijklm' }, 33);
    expect(value).toEqual({ aps: { alert: 'abcdefghijklm' } });
    expect(truncated).toBe(false);
  });

  test('and nothing else of the payload changes', () => {
    const content = {
      alert: { title: 'Long title', body: 'x'.repeat(500) },
      badge: 3,
      custom: { k: 'x'.repeat(20) },
    };
    const { value } = shorten(content, 256);
    const alert = value.aps.alert as { title: string; body: string };
    expect(alert.body).toMatch(/^x{50,}…$/);
    expect(value).toEqual({
      aps: { alert: { title: 'Long title', body: alert.body }, badge: 3 },
      k: 'x'.repeat(20),
    });
  });

  test.each([
    ['a family of four', 'ab👨‍👩‍👧‍👦cdefghij', 'ab…', 33],
    ['a flag', 'abcdefg🇩🇪🇫🇷', 'abcdefg…', 33],
    ['a letter with combining marks', `abcdefgh${'e\u0301\u0302'}ijkl`, 'abcdefgh…', 33],
    ['a line break of two characters', 'abcdefgh\r\nxyz', 'abcdefgh…', 33],
    ['an escaped quote', 'abcdefghi""""', 'abcdefghi…', 33],
    ['a space', 'abcdefghi jklmnop', 'abcdefghi…', 33],
  ])('never inside %s', (_name, text, expected, at) => {
    expect(shorten({ alert: text }, at).value.aps.alert).toBe(expected);
  });

  test('and refused when nothing of it could stay, or there is none', () => {
    const custom = { k: 'x'.repeat(300) };
    expect(caught(() => shorten({ alert: { body: 'text' }, custom }, 256))).toMatchObject({
      code: 'payload-too-large',
      field: 'alert.body',
    });
    expect(caught(() => shorten({ alert: 'text', custom }, 256))).toMatchObject({ field: 'alert' });
    expect(caught(() => shorten({ alert: { title: 'text' }, custom }, 256))).toMatchObject({
      field: 'payload',
    });
    expect(caught(() => shorten({ custom }, 256)).message).toMatch(
      /no alert body to shorten; the limit is 256/,
    );
  });

  test('to the longest run of whole graphemes that fits, whatever the text', () => {
    const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 120 });
    const awkward = fc.string({
      unit: fc.constantFrom(
        'a',
        ' ',
        '"',
        '\n',
        '\u0001',
        'é',
        'e\u0301',
        '👩‍👧',
        '🇩🇪',
        '🇩',
        '\r',
        '\u200d',
        'क्षि',
        '\u2028',
      ),
      minLength: 1,
      maxLength: 120,
    });
    fc.assert(
      fc.property(fc.oneof(text, awkward), fc.integer({ min: 24, max: 256 }), (alert, at) => {
        const whole = JSON.stringify({ aps: { alert } });
        const sizeOf = (body: string) => Buffer.byteLength(JSON.stringify({ aps: { alert: body } }));
        const ends = Array.from(segmenter.segment(alert), ({ index, segment }) => index + segment.length);
        const fitting = ends.filter((end) => sizeOf(`${alert.slice(0, end)}…`) <= at);
        const expected = alert.slice(0, fitting.at(-1) ?? 0).trimEnd();
        if (Buffer.byteLength(whole) <= at) {
          expect(shorten({ alert }, at).text).toBe(whole);
        } else if (expected === '') {
          expect(caught(() => shorten({ alert }, at))).toMatchObject({ code: 'payload-too-large' });
        } else {
          const { value, bytes } = shorten({ alert }, at);
          expect(value.aps.alert).toBe(`${expected}…`);
          expect(bytes).toBeLessThanOrEqual(at);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

test('any JSON beside aps comes out as it went in', () => {
  const custom = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((key) => key !== 'aps' && key !== '__proto__'),
    fc.jsonValue().filter((value) => !/__proto__|\d{16}|e\+/.test(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(custom, (values) => {
      const { text } = buildPayload({ alert: 'x', custom: values as never }, { limit: 1_000_000 });
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify({ aps: { alert: 'x' }, ...values })));
    }),
  );
});

test('any value at all gives a payload or a typed error', () => {
  fc.assert(
    fc.property(
      fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }),
      (value) => {
        for (const payload of [value, { aps: value }, { aps: { alert: value } }, { aps: {}, key: value }]) {
          try {
            JSON.parse(encodeRawPayload(payload, { limit: 1_000_000 }).text);
          } catch (error) {
            expect(error).toBeInstanceOf(PayloadError);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

function caught(run: () => unknown): PayloadError {
  try {
    run();
  } catch (error) {
    return error as PayloadError;
  }
  throw new Error('nothing was thrown');
}
