import { appleExamples } from '@pushfleet/testkit/apple-examples';
import { describe, expect, test } from 'vitest';
import { buildPayload, encodeRawPayload, type PayloadContent, payloadLimits } from '../src/payload/index.ts';

const limit = payloadLimits.http2;

describe("Apple's published payloads are taken as they are", () => {
  test.each(appleExamples)('$name', ({ payload, pushType, isInferred }) => {
    const named = encodeRawPayload(payload, { limit, pushType });
    expect(named).toMatchObject({ text: JSON.stringify(payload), pushType });
    if (isInferred) expect(encodeRawPayload(payload, { limit }).pushType).toBe(pushType);
  });
});

const start: PayloadContent = {
  event: 'start',
  timestamp: 1764000000,
  contentState: { health: 100 },
  attributesType: 'AdventureAttributes',
  attributes: { hero: 'Panda' },
  alert: {
    title: { locKey: '%@ is on an adventure!', locArgs: ['Power Panda'] },
    body: { locKey: '%@ found a sword!', locArgs: ['Power Panda'] },
    sound: 'chime.aiff',
  },
};

test('content becomes the Live Activity that Apple shows', () => {
  expect(JSON.parse(buildPayload(start, { limit }).text)).toEqual({
    aps: {
      event: 'start',
      timestamp: 1764000000,
      'content-state': { health: 100 },
      'attributes-type': 'AdventureAttributes',
      attributes: { hero: 'Panda' },
      alert: {
        title: { 'loc-key': '%@ is on an adventure!', 'loc-args': ['Power Panda'] },
        body: { 'loc-key': '%@ found a sword!', 'loc-args': ['Power Panda'] },
        sound: 'chime.aiff',
      },
    },
  });
});

describe('the content says the push type', () => {
  test.each<[string, PayloadContent]>([
    ['alert', { alert: 'x' }],
    ['alert', { badge: 0 }],
    ['alert', { alert: 'x', contentAvailable: true }],
    ['alert', { alert: 'x', contentChanged: true }],
    ['background', { contentAvailable: true, custom: { a: 1 } }],
    ['liveactivity', start],
    ['liveactivity', { event: 'update', contentState: {} }],
    ['liveactivity', { event: 'end' }],
    ['liveactivity', { event: 'end', relevanceScore: 75 }],
    ['liveactivity', { event: 'update', contentState: {}, relevanceScore: -3.5 }],
  ])('%s', (pushType, content) => {
    expect(buildPayload(content, { limit }).pushType).toBe(pushType);
    expect(buildPayload(content, { limit, pushType }).pushType).toBe(pushType);
  });
});

describe('a push type and a payload that contradict each other are refused', () => {
  test.each<[string, string, string | undefined, unknown]>([
    ['an alert as a background push', 'pushType', 'background', { aps: { alert: 'x' } }],
    ['a badge as a background push', 'pushType', 'background', { aps: { badge: 1, 'content-available': 1 } }],
    ['a background push that wakes nobody', 'payload.aps.content-available', 'background', { aps: {} }],
    ['an activity as an alert', 'pushType', 'alert', { aps: { event: 'end' } }],
    ['an activity as a VoIP push', 'pushType', 'voip', { aps: { event: 'end' } }],
    ['an alert as an activity', 'payload.aps.event', 'liveactivity', { aps: { alert: 'x' } }],
    [
      'content of an activity without its event',
      'payload.aps.event',
      undefined,
      { aps: { 'content-state': {} } },
    ],
    ['an update without content', 'payload.aps.content-state', undefined, { aps: { event: 'update' } }],
    ['content that changed, of what?', 'pushType', undefined, { aps: { 'content-changed': true } }],
    ['an alert without aps', 'payload.aps', 'alert', { x: 1 }],
    ['a background push without aps', 'payload.aps', 'background', {}],
    ['an activity without aps', 'payload.aps', 'liveactivity', {}],
    ['no aps and no push type', 'payload.aps', undefined, { x: 1 }],
  ])('%s', (_name, field, pushType, payload) => {
    expect(() => encodeRawPayload(payload, { limit, pushType })).toThrow(expect.objectContaining({ field }));
  });

  test.each<[keyof PayloadContent, string]>([
    ['alert', 'alert'],
    ['attributesType', 'attributesType'],
    ['attributes', 'attributes'],
    ['contentState', 'contentState'],
  ])('the start of an activity without %s', (key, field) => {
    expect(() => buildPayload({ ...start, [key]: undefined }, { limit })).toThrow(
      expect.objectContaining({ field, message: expect.stringContaining('is missing') }),
    );
  });

  test.each(['timestamp', 'staleDate', 'dismissalDate'] as const)('%s in milliseconds', (field) => {
    expect(() => buildPayload({ ...start, [field]: 1764000000000 }, { limit })).toThrow(
      expect.objectContaining({ field, message: expect.stringContaining('milliseconds') }),
    );
  });

  test('an alert that is localized as only those of activities are', () => {
    const title = { locKey: 'T' };
    expect(() => buildPayload({ alert: { title } }, { limit })).toThrow(
      expect.objectContaining({ field: 'alert.title' }),
    );
    expect(() =>
      buildPayload({ event: 'update', contentState: {}, alert: { title: {} as never } }, { limit }),
    ).toThrow(expect.objectContaining({ field: 'alert.title.locKey' }));
  });
});
