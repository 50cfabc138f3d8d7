import type { Row } from '../run-row.ts';
import {
  binarySpell,
  binarySpells,
  html,
  http2Spells,
  minuteMs,
  quietCalls,
  reason,
  refused,
  spell,
} from './gateways-in-trouble.ts';

/** The gateway is in trouble for a while. */
export const spells: readonly Row[] = [
  http2Spells('503 for 1 min', minuteMs, reason(503, 'ServiceUnavailable')),
  http2Spells('503 for 15 min', 15 * minuteMs, reason(503, 'ServiceUnavailable')),
  http2Spells(
    '503 with retry-after 20 for 1 min',
    minuteMs,
    reason(503, 'ServiceUnavailable', { 'retry-after': 20 }),
  ),
  http2Spells('500 for 1 min', minuteMs, reason(500, 'InternalServerError')),
  http2Spells('500 for 15 min', 15 * minuteMs, reason(500, 'InternalServerError')),
  http2Spells('502 of a proxy for 1 min', minuteMs, { status: 502, ...html }),
  http2Spells('no answers for 1 min', minuteMs, 'hang'),
  http2Spells('every stream reset for 1 min', minuteMs, { resetStream: 2 }),
  http2Spells('every stream refused for 1 min', minuteMs, { resetStream: 7 }),
  http2Spells('429 TooManyRequests for everything, 1 min', minuteMs, reason(429, 'TooManyRequests')),
  binarySpells('status 1 for 1 min', minuteMs, { status: 1 }),
  {
    ...binarySpells('status 1 for 15 min, few notifications', 15 * minuteMs, { status: 1 }, { rate: 0 }),
    size: 50,
  },
  binarySpells('status 1 for 15 min', 15 * minuteMs, { status: 1 }),
  binarySpells('status 255 for 1 min', minuteMs, { status: 255 }),
  binarySpells('every frame hung up on for 1 min', minuteMs, 'hang-up'),
  binarySpells('every frame hung up on for 15 min', 15 * minuteMs, 'hang-up'),
  binarySpells('errors that name no frame for 1 min', minuteMs, { status: 1, identifier: 0 }),
  refused('binary', 15 * minuteMs),
  refused('http2', 15 * minuteMs),
  {
    name: 'one in ten answers is 500, for 2 min',
    transport: 'http2',
    bars: { calls: 4_600 },
    spellMs: 2 * minuteMs,
    gateway: ({ time }) => {
      let requests = 0;
      return {
        request: () =>
          time.nowMs < 2 * minuteMs && ++requests % 10 === 0 ? reason(500, 'InternalServerError') : 'take',
      };
    },
  },
  {
    name: '503 for 15 min, good for 5 min',
    transport: 'http2',
    bars: { expired: 4_000, calls: quietCalls.http2(15 * minuteMs) },
    ttlSeconds: 300,
    spellMs: 15 * minuteMs,
    gateway: spell(15 * minuteMs, reason(503, 'ServiceUnavailable')),
  },
  {
    name: 'hung up on for 15 min, good for 5 min',
    transport: 'binary',
    bars: { expired: 4_000, calls: quietCalls.binary(15 * minuteMs) },
    ttlSeconds: 300,
    spellMs: 15 * minuteMs,
    gateway: binarySpell(15 * minuteMs, 'hang-up'),
  },

  ...[403, 404, 421, 307].map((status) =>
    http2Spells(`${status} of a proxy for 1 min`, minuteMs, { status, ...html }),
  ),
  http2Spells('403 without a body for 1 min', minuteMs, { status: 403 }),
  binarySpells('no packet but text for 1 min', minuteMs, 'not-a-packet'),

  http2Spells('TopicDisallowed for 1 min', minuteMs, reason(400, 'TopicDisallowed'), { pauses: ['topic'] }),
  http2Spells('BadTopic for 1 min', minuteMs, reason(400, 'BadTopic'), { pauses: ['topic'] }),
  http2Spells('403 BadCertificate for 1 min', minuteMs, reason(403, 'BadCertificate'), {
    pauses: ['credential'],
  }),
  binarySpells('status 3 for 1 min', minuteMs, { status: 3 }, { pauses: ['topic'] }),
  binarySpells('status 6 for 1 min', minuteMs, { status: 6 }, { pauses: ['topic'] }),
];
