import type { BinaryPeer, BinaryScript, FrameVerdict } from '../binary-gateway.ts';
import type { Answer, Http2Peer, Http2Script, RequestVerdict } from '../http2-gateway.ts';
import type { Bars, Row, Scene } from '../run-row.ts';

// What rows are made of.

export const secondMs = 1_000;
export const minuteMs = 60_000;
/** How many frames or requests a connection is good for. */
export const appetite = 7;
/** As an app is by default. */
export const wide = { window: 50_000 } as const;

export function reason(status: number, name: string, headers?: Answer['headers']): Answer {
  return { status, body: JSON.stringify({ reason: name }), ...(headers === undefined ? {} : { headers }) };
}

/** A gateway that is in trouble until then. */
export function spell(ms: number, verdict: RequestVerdict): (scene: Scene) => Http2Script {
  return ({ time }) => ({ request: () => (time.nowMs < ms ? verdict : 'take') });
}

export function binarySpell(ms: number, verdict: FrameVerdict): (scene: Scene) => BinaryScript {
  return ({ time }) => ({ frame: () => (time.nowMs < ms ? verdict : 'take') });
}

/** What a gateway in trouble may hear, at most: 2 % of the clean rate. */
export const quietCalls = {
  binary: (ms: number) => (0.02 * 1_000 * ms) / secondMs,
  http2: (ms: number) => (0.02 * 2_000 * ms) / secondMs,
} as const;
/** A probe every half minute at most, and then the backlog. What met the trouble itself waits as long again, as it does. */
const recoveryMs = (ms: number) => Math.max(45 * secondMs, 2 * Math.min(ms, 15 * minuteMs));

export function http2Spells(name: string, ms: number, verdict: RequestVerdict, bars: Bars = {}): Row {
  return {
    name,
    transport: 'http2',
    spellMs: ms,
    gateway: spell(ms, verdict),
    bars: { calls: quietCalls.http2(ms), recoveryMs: recoveryMs(ms), ...bars },
  };
}

export function binarySpells(name: string, ms: number, verdict: FrameVerdict, bars: Bars = {}): Row {
  return {
    name,
    transport: 'binary',
    spellMs: ms,
    gateway: binarySpell(ms, verdict),
    bars: { calls: quietCalls.binary(ms), recoveryMs: recoveryMs(ms), ...bars },
  };
}

/** Refuses connections until then. */
export function refused(transport: 'binary' | 'http2', ms: number): Row {
  return {
    name: `connections refused for ${ms / minuteMs} min`,
    transport,
    spellMs: ms,
    bars: { calls: 0, recoveryMs: 45 * secondMs },
    acts: [
      { atMs: 0, act: (gateway) => gateway.refuse() },
      { atMs: ms, act: (gateway) => gateway.listen() },
    ],
    gateway: () => ({}),
  };
}

/** Every `nth` of the row's tokens. */
export function everyNth({ tokens }: Scene, nth: number): ReadonlySet<string> {
  return new Set(tokens.filter((_, index) => index % nth === nth >> 1));
}

/** A balancer that takes some, loses the rest, and ends each connection after 300 ms. */
const flapMs = 300;
export const flapTakes = 20;
export function flaps<Peer extends BinaryPeer | Http2Peer>(
  { time }: Scene,
  ms: number,
): (peer: Peer) => true {
  return (peer) => {
    if (time.nowMs < ms) setTimeout(() => peer.hangUp(), flapMs);
    return true;
  };
}

/** Whether the client's certificate is one of ours. */
export const html = {
  headers: { 'content-type': 'text/html' },
  body: '<html><body>Access denied</body></html>',
};
