import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import {
  encodeFrame,
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  FrameFlag,
  FrameType,
  Http2ErrorCode,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import { describe, expect } from 'vitest';
import type { FrameConnection, SeenFrame } from './frame-server.ts';
import { isComplete, ok } from './frame-server.ts';
import { test } from './http2-test.ts';
import { accept } from './node-gateway.ts';

const { maxConcurrentStreams, initialWindowSize } = SettingId;

/** Answers every complete request with 200, by frames. */
function answerAll(frame: SeenFrame, connection: FrameConnection): void {
  if (isComplete(frame)) connection.write(ok(frame.streamId));
}

describe('GOAWAY in mid-flight', () => {
  test('streams above its last one are sent again, those below are waited for', async ({ kit }) => {
    const server = await kit.frames({
      settings: [[maxConcurrentStreams, 10]],
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        const { complete, number } = connection;
        if (number > 1) connection.write(ok(frame.streamId));
        // The first answer opens the connection for ten.
        else if (complete.length === 1) connection.write(ok(1));
        // Of 3 to 21, 11 is the last that is processed: answered after the GOAWAY.
        else if (complete.length === 11) connection.write(encodeGoAway(11, 0), ...[3, 5, 7, 9, 11].map(ok));
      },
    });
    const { submit, observed } = kit.open(server.port);
    const run = await submit({ count: 40 }).settled();
    expect(run.sums).toEqual({ proved: 40 });
    expect(observed.replayed).toBe(5);
    expect(observed.uncertain).toBe(0);
    expect(observed.ends[0]).toBe('goaway');
    // Written twice: streams 13 to 21, which were positions 6 to 10.
    expect([...run.writes.keys()].filter((position) => run.writes[position] === 2)).toEqual([6, 7, 8, 9, 10]);
  });

  test('those below without an answer are uncertain when it hangs up', async ({ kit }) => {
    const server = await kit.frames({
      settings: [[maxConcurrentStreams, 10]],
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        const { complete, number } = connection;
        if (number > 1 || complete.length === 1) connection.write(ok(frame.streamId));
        else if (complete.length === 11) {
          connection.write(encodeGoAway(7, 2, '{"reason":"InternalServerError"}'), ok(5));
          connection.socket.end();
        }
      },
    });
    const { submit, observed } = kit.open(server.port);
    const run = await submit({ count: 20 }).settled();
    expect(run.sums).toEqual({ proved: 18, uncertain: 2 });
    expect(run.positions('uncertain')).toEqual([1, 3]);
    expect(observed.replayed).toBe(7);
    expect(observed.ends[0]).toBe('goaway');
  });

  test('in two steps, the second counts', async ({ kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        if (connection.number > 1 || connection.complete.length === 1) connection.write(ok(frame.streamId));
        else if (connection.complete.length === 2)
          connection.write(encodeGoAway(0x7fff_ffff, 0), encodeGoAway(1, 0));
      },
    });
    const { submit, observed } = kit.open(server.port);
    expect((await submit({ count: 10 }).settled()).sums).toEqual({ proved: 10 });
    expect(observed.uncertain).toBe(0);
    expect(server.connections[0]?.frames.some(({ type }) => type === FrameType.goAway)).toBe(true);
  });

  test('a gateway that sends everybody away is not stormed', async ({ kit }) => {
    const server = await kit.frames({
      frame: (_, connection) => connection.write(encodeGoAway(0, 0)),
    });
    const { submit, transport, observed } = kit.open(server.port, { backoff: { baseMs: 50, capMs: 100 } });
    const run = submit({ count: 3 });
    await expect.poll(() => observed.ends.length).toBeGreaterThan(2);
    expect(observed.states.some(({ kind }) => kind === 'backing-off')).toBe(true);
    transport.destroy();
    expect(run.sums).toEqual({ unprocessed: 3 });
  });
});

describe('streams that are reset', () => {
  test('REFUSED_STREAM is sent again; anything else is uncertain', async ({ kit }) => {
    const codes: Readonly<Record<number, number>> = { 3: 7, 5: 2, 7: 8 };
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        const code = codes[frame.streamId];
        connection.write(code === undefined ? ok(frame.streamId) : encodeRstStream(frame.streamId, code));
      },
    });
    const { submit, observed } = kit.open(server.port);
    const run = await submit({ count: 10 }).settled();
    expect(run.sums).toEqual({ proved: 8, uncertain: 2 });
    expect(run.settlements[2]).toEqual({ kind: 'uncertain', cause: 'stream-reset' });
    expect(run.writes[1]).toBe(2);
    expect(observed.opened).toBe(1);
  });

  test('a reset after the answer changes nothing', async ({ kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        const head = encodeFrame(FrameType.headers, FrameFlag.endHeaders, frame.streamId, Buffer.of(0x88));
        connection.write(head, encodeRstStream(frame.streamId, 0), encodeRstStream(frame.streamId, 0));
      },
    });
    const { submit, observed } = kit.open(server.port);
    expect((await submit({ count: 10 }).settled()).sums).toEqual({ proved: 10 });
    expect(observed.ends).toEqual([]);
  });

  test('a refusal whose body is cut off is a refusal', async ({ kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        // :status 400 of the static table
        const head = encodeFrame(FrameType.headers, FrameFlag.endHeaders, frame.streamId, Buffer.of(0x8c));
        connection.write(head);
        connection.socket.destroySoon();
      },
    });
    const { submit } = kit.open(server.port);
    const run = await submit({ count: 1 }).settled();
    expect(run.settlements[0]).toMatchObject({
      kind: 'retryable',
      answer: { reason: 'Status400', status: 400 },
    });
  });

  test('a gateway that refuses every stream is left alone for a while', async ({ kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (isComplete(frame)) connection.write(encodeRstStream(frame.streamId, 7));
      },
    });
    const { submit, transport, observed } = kit.open(server.port, { streams: 5 });
    const run = submit({ count: 3 });
    await expect.poll(() => observed.ends).toContain('stream-reset');
    transport.destroy();
    expect(run.open).toBe(0);
  });
});

describe('a gateway that goes silent', () => {
  test('answers that do not come are given up, and their streams reset', async ({ kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (isComplete(frame) && frame.streamId !== 5) connection.write(ok(frame.streamId));
      },
    });
    const { submit, observed } = kit.open(server.port, { streamTimeoutMs: 80 });
    const run = await submit({ count: 6 }).settled();
    expect(run.sums).toEqual({ proved: 5, uncertain: 1 });
    expect(run.settlements[2]).toEqual({ kind: 'uncertain', cause: 'stream-stalled' });
    const resets = () => server.connections[0]?.frames.filter(({ type }) => type === FrameType.rstStream);
    await expect.poll(() => resets()?.map(({ streamId }) => streamId)).toEqual([5]);
    expect(observed.ends).toEqual([]);
  });

  test('a PING that is not answered ends the connection', async ({ kit }) => {
    // Reads PINGs, answers none.
    const server = await kit.frames({ frame: answerAll });
    const { submit, observed } = kit.open(server.port, { pingAfterMs: 40, pingTimeoutMs: 40 });
    await submit({ count: 1 }).settled();
    await expect.poll(() => observed.ends).toEqual(['ping-timeout']);
    expect(server.connections[0]?.frames.some(({ type }) => type === FrameType.ping)).toBe(true);
    // The next notification simply gets a new connection.
    expect((await submit({ count: 1 }).settled()).sums).toEqual({ proved: 1 });
  });

  test('PINGs that are answered keep it', async ({ kit }) => {
    let pings = 0;
    const server = await kit.frames({
      frame: (frame, connection) => {
        answerAll(frame, connection);
        if (frame.type !== FrameType.ping) return;
        pings += 1;
        connection.write(encodePing(frame.payload, 'ack'));
      },
    });
    const { submit, observed } = kit.open(server.port, { pingAfterMs: 20, pingTimeoutMs: 2_000 });
    await submit({ count: 1 }).settled();
    await expect.poll(() => pings).toBeGreaterThan(3);
    expect(observed.ends).toEqual([]);
  });

  test('what is under way when the network goes dead is uncertain', async ({ kit }) => {
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (gateway.requests.length <= 1) accept(stream, request);
      },
    });
    const proxy = await kit.proxy(gateway.port);
    const { submit, observed } = kit.open(proxy.port, { pingAfterMs: 50, pingTimeoutMs: 50 });
    await submit({ count: 1 }).settled();
    proxy.add('downstream', { type: 'timeout', timeoutMs: 0 });
    const run = await submit({ count: 5 }).settled();
    expect(run.sums).toEqual({ uncertain: 5 });
    expect(observed.ends).toEqual(['ping-timeout']);
  });

  test('a gateway that stops reading is noticed', async ({ kit }) => {
    // Windows so wide that only the network's buffers hold anything back.
    const gateway = await kit.node({
      settings: { initialWindowSize: 65_535 },
      onSession: (session) => session.setLocalWindowSize(1 << 30),
    });
    const proxy = await kit.proxy(gateway.port);
    const { submit, observed, transport } = kit.open(proxy.port, {
      writeStallMs: 150,
      streams: 100_000,
      window: 100_000,
    });
    await submit({ count: 1 }).settled();
    proxy.add('upstream', { type: 'stop_reading' });
    const run = submit({ count: 30_000, payload: `{"aps":{},"x":"${'y'.repeat(2_000)}"}` });
    await expect.poll(() => observed.ends[0], { timeout: 10_000 }).toBe('write-stalled');
    transport.destroy();
    expect(run.open).toBe(0);
    expect(run.sums.uncertain).toBeGreaterThan(0);
  });

  test('one that is idle is closed', async ({ kit }) => {
    const gateway = await kit.node();
    const { submit, observed, transport } = kit.open(gateway.port, {
      idleTimeoutMs: 50,
      streamTimeoutMs: 200,
    });
    await submit({ count: 1 }).settled();
    await expect.poll(() => observed.ends).toEqual(['idle']);
    expect(transport.state.kind).toBe('idle');
  });
});

describe('settings that change in mid-flight', () => {
  test('the limit of streams is followed, down and up', async ({ kit }) => {
    let most = 0;
    let limit = 4;
    let open = new Set<number>();
    const server = await kit.frames({
      settings: [[maxConcurrentStreams, 4]],
      frame: (frame, connection) => {
        if (frame.type === FrameType.headers) open.add(frame.streamId);
        if (!isComplete(frame)) return;
        most = Math.max(most, open.size);
        const { length } = connection.complete;
        if (length <= 20) expect(open.size).toBeLessThanOrEqual(4);
        if (length === 20) {
          limit = 2;
          connection.write(encodeSettings([[maxConcurrentStreams, 2]]));
        } else if (length === 40) {
          most = 0;
          limit = 50;
          connection.write(encodeSettings([[maxConcurrentStreams, 50]]));
        }
        // The first answer opens the connection for more; then, as many at once as there may be.
        if (length > 1 && open.size < Math.min(limit, 200 - length)) return;
        const answered = [...open];
        open = new Set();
        connection.write(...answered.map(ok));
      },
    });
    const { submit } = kit.open(server.port);
    const run = await submit({ count: 200 }).settled();
    expect(run.sums).toEqual({ proved: 200 });
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(50);
  });

  test('no stream at all for a while is waited for', async ({ kit }) => {
    const server = await kit.frames({
      settings: [[maxConcurrentStreams, 0]],
      frame: answerAll,
    });
    const { submit, transport } = kit.open(server.port);
    const run = submit({ count: 3 });
    await expect.poll(() => transport.state.kind).toBe('open');
    // The first may have gone out before the gateway said that it takes none.
    expect(run.open).toBeGreaterThanOrEqual(2);
    server.connections[0]?.write(encodeSettings([[maxConcurrentStreams, 1]]));
    expect((await run.settled()).sums).toEqual({ proved: 3 });
  });

  test('a gateway that never allows a stream is left', async ({ kit }) => {
    const server = await kit.frames({ settings: [[maxConcurrentStreams, 0]] });
    const { submit, transport, observed } = kit.open(server.port, { streamTimeoutMs: 60 });
    const run = submit({ count: 3 });
    await expect.poll(() => observed.ends).toContain('write-stalled');
    transport.destroy();
    // The first may have gone out before the gateway said that it takes none.
    expect(run.sums.unprocessed).toBeGreaterThanOrEqual(2);
    expect((run.sums.unprocessed ?? 0) + (run.sums.uncertain ?? 0)).toBe(3);
  });

  test('windows of a few bytes are honoured, and opened again', async ({ kit }) => {
    const bodies = new Map<number, Buffer[]>();
    const server = await kit.frames({
      settings: [[initialWindowSize, 7]],
      frame: (frame, connection) => {
        if (frame.type !== FrameType.data) return;
        // The first request does not wait for the settings: until they come, the window is the protocol's.
        if (frame.streamId > 1) expect(frame.payload.length).toBeLessThanOrEqual(7);
        bodies.set(frame.streamId, [...(bodies.get(frame.streamId) ?? []), frame.payload]);
        if (isComplete(frame)) connection.write(ok(frame.streamId));
        else connection.write(encodeWindowUpdate(frame.streamId, 7));
      },
    });
    const { submit } = kit.open(server.port);
    const payload = '{"aps":{"alert":"more than seven bytes"}}';
    expect((await submit({ count: 20, payload }).settled()).sums).toEqual({ proved: 20 });
    expect([...bodies.values()].map((parts) => Buffer.concat(parts).toString())).toEqual(
      Array(20).fill(payload),
    );
  });

  test('a window of nothing that is opened by SETTINGS lets the request go on', async ({ kit }) => {
    const server = await kit.frames({
      settings: [[initialWindowSize, 0]],
      frame: (frame, connection) => {
        if (frame.type === FrameType.headers && frame.streamId === 1)
          connection.write(encodeSettings([[initialWindowSize, 65_535]]));
        answerAll(frame, connection);
      },
    });
    const { submit } = kit.open(server.port);
    expect((await submit({ count: 5 }).settled()).sums).toEqual({ proved: 5 });
  });

  test('the window of the connection is waited for', async ({ kit }) => {
    let received = 0;
    let granted = 65_535;
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (frame.type === FrameType.data) {
          received += frame.payload.length;
          expect(received).toBeLessThanOrEqual(granted);
          if (granted - received < 4_000) {
            granted += 3_000;
            connection.write(encodeWindowUpdate(0, 3_000));
          }
        }
        answerAll(frame, connection);
      },
    });
    const { submit } = kit.open(server.port);
    const payload = `{"aps":{},"x":"${'y'.repeat(4_000)}"}`;
    expect((await submit({ count: 100, payload }).settled()).sums).toEqual({ proved: 100 });
  });

  test('an answer before the request is complete ends it', async ({ kit }) => {
    const server = await kit.frames({
      settings: [[initialWindowSize, 5]],
      frame: (frame, connection) => {
        if (frame.type === FrameType.headers) connection.write(ok(frame.streamId));
      },
    });
    const { submit } = kit.open(server.port);
    // The first may go out whole before the settings come.
    expect((await submit({ count: 4 }).settled()).sums).toEqual({ proved: 4 });
    const resets = () => server.connections[0]?.frames.filter(({ type }) => type === FrameType.rstStream);
    await expect.poll(() => resets()?.length).toBeGreaterThanOrEqual(3);
  });
});

describe('what breaks the protocol ends the connection, and says so', () => {
  const beginning = encodeFrame(FrameType.headers, 0, 1, Buffer.of(0x88));
  const continuation = encodeFrame(FrameType.continuation, 0, 1, Buffer.alloc(0));
  const cases: Record<string, Buffer[]> = {
    'an endless header block': [beginning, ...Array.from({ length: 100 }, () => continuation)],
    'HPACK that is none': [encodeFrame(FrameType.headers, 5, 1, Buffer.of(0x80))],
    'a stream that was never opened': [encodeFrame(FrameType.headers, 5, 99, Buffer.of(0x88))],
    'a stream of the server': [encodeFrame(FrameType.headers, 5, 2, Buffer.of(0x88))],
    'a window over 2^31 - 1': [encodeWindowUpdate(0, 0x7fff_ffff)],
    'more DATA than the window of the stream': [
      encodeFrame(FrameType.headers, 4, 1, Buffer.of(0x8c)),
      ...Array.from({ length: 5 }, () => encodeFrame(FrameType.data, 0, 1, Buffer.alloc(16_000))),
    ],
    'PINGs without end': Array.from({ length: 10_001 }, () => encodePing(Buffer.alloc(8))),
  };

  test.for(Object.entries(cases))('%s', async ([, frames], { kit }) => {
    const server = await kit.frames({
      frame: (frame, connection) => {
        if (connection.number > 1) answerAll(frame, connection);
        else if (isComplete(frame)) connection.write(...frames);
      },
    });
    const { submit, observed } = kit.open(server.port);
    const run = await submit({ count: 4 }).settled();
    // The one on that connection got no answer that counts; for the others nothing was at stake.
    expect(run.settlements[0]?.kind).toMatch(/uncertain|retryable/);
    expect(run.positions('accepted')).toEqual([1, 2, 3]);
    expect(observed.ends[0]).toBe('protocol-violation');
    await expect
      .poll(() => server.connections[0]?.frames.some(({ type }) => type === FrameType.goAway))
      .toBe(true);
  });
});

describe('an answer that makes no sense ends its stream alone', () => {
  const { headers, data, windowUpdate } = FrameType;
  const answer = (...bytes: number[]) => encodeFrame(headers, 5, 1, Buffer.from(bytes));
  const text = (bytes: string) => encodeFrame(headers, 5, 1, Buffer.from(bytes, 'latin1'));
  const cases: Record<string, Buffer> = {
    'no status': answer(),
    'two statuses': answer(0x88, 0x88),
    'a status that is none': text('\x08\x03abc'),
    'a status after a field': text('\x00\x01a\x01b\x88'),
    'a pseudo-header field of requests': answer(0x84),
    'an upper-case name': text('\x88\x00\x01A\x01b'),
    'a value with a line break': text('\x88\x00\x01a\x02b\n'),
    'an informational head that is the last': text('\x08\x03103'),
    'DATA before the head': encodeFrame(data, 1, 1, Buffer.from('{}')),
    'a window that opens by nothing': encodeFrame(windowUpdate, 0, 1, Buffer.alloc(4)),
  };

  test.for(Object.entries(cases))('%s', async ([, frame], { kit }) => {
    const held: number[] = [];
    const server = await kit.frames({
      frame: (seen, connection) => {
        if (!isComplete(seen)) return;
        // The first waits until the others are under way; then it goes wrong.
        if (connection.complete.length < 5) held.push(seen.streamId);
        else connection.write(frame, ...held.filter((id) => id !== 1).map(ok), ok(seen.streamId));
      },
    });
    const { certificatePem: cert, privateKeyPem: key } = kit.client;
    const credential = { current: () => ({ cert, key }), onChange: () => () => undefined };
    const { submit, observed } = kit.open(server.port, {
      authentication: { kind: 'certificate', credential },
    });
    const run = await submit({ count: 5 }).settled();
    expect(run.sums).toEqual({ proved: 4, uncertain: 1 });
    expect(run.settlements[0]).toEqual({ kind: 'uncertain', cause: 'stream-reset' });
    const resets = () => server.connections[0]?.frames.filter(({ type }) => type === FrameType.rstStream);
    await expect.poll(() => resets()?.map(({ streamId }) => streamId)).toEqual([1]);
    expect(observed.ends).toEqual([]);
    // The table of the header compression is as it was: the connection goes on.
    expect((await submit({ count: 5 }).settled()).sums).toEqual({ proved: 5 });
    expect(observed.opened).toBe(1);
  });
});

describe('frames that bring no answer are cut', () => {
  const { headers, data, settings } = FrameType;
  const informational = Buffer.from('\x08\x03103', 'latin1');
  const floods: Record<string, Buffer> = {
    'SETTINGS of 2,730 entries': encodeFrame(
      settings,
      0,
      0,
      Buffer.concat(Array.from({ length: 2_730 }, () => Buffer.from([0, 9, 0, 0, 0, 0]))),
    ),
    'GOAWAY of 16 KB': encodeGoAway(0x7fff_ffff, 0, 'x'.repeat(16_000)),
    '103 without end': encodeFrame(headers, FrameFlag.endHeaders, 3, informational),
    'HEADERS on a closed stream': encodeFrame(headers, 5, 1, Buffer.of(0x88)),
    'DATA on a closed stream': encodeFrame(data, 0, 1, Buffer.from('x')),
    'HPACK in many small blocks': encodeFrame(
      headers,
      FrameFlag.endHeaders,
      3,
      Buffer.concat([informational, Buffer.alloc(1_500, 0x90)]),
    ),
    'RST_STREAM on a closed stream': encodeRstStream(1, 8),
    'unknown frames of 16 KB': encodeFrame(0x7f, 0, 0, Buffer.alloc(16_000)),
  };

  test.for(Object.entries(floods))('%s', async ([, frame], { kit }) => {
    // Small portions, so that there is time to stop it.
    const portion = Buffer.concat(Array.from({ length: frame.length > 1_000 ? 5 : 500 }, () => frame));
    let written = 0;
    const server = await kit.frames({
      frame: (seen, connection) => {
        if (!isComplete(seen)) return;
        if (connection.number > 1 || seen.streamId !== 3) {
          connection.write(ok(seen.streamId));
          return;
        }
        const flood = (): void => {
          if (connection.socket.destroyed || written > 100_000_000) return;
          written += portion.length;
          connection.socket.write(portion, () => setImmediate(flood));
        };
        flood();
      },
    });
    const { submit, observed } = kit.open(server.port);
    expect((await submit({ count: 1 }).settled()).sums).toEqual({ proved: 1 });
    submit({ count: 1 });
    await expect.poll(() => observed.ends[0], { timeout: 10_000 }).toBe('protocol-violation');
    const goAway = () => server.connections[0]?.frames.find(({ type }) => type === FrameType.goAway);
    await expect.poll(() => goAway()?.payload.readUInt32BE(4)).toBe(Http2ErrorCode.enhanceYourCalm);
    expect(written).toBeLessThan(20_000_000);
  });
});

test('an answer in CONTINUATIONs, padded, with informational heads and trailers, is an answer', async ({
  kit,
}) => {
  const { headers, continuation, data } = FrameType;
  const server = await kit.frames({
    frame: (frame, connection) => {
      if (!isComplete(frame)) return;
      const id = frame.streamId;
      connection.write(
        // :status 103
        encodeFrame(headers, FrameFlag.endHeaders, id, Buffer.from('\x08\x03103', 'latin1')),
        encodeFrame(headers, FrameFlag.padded, id, Buffer.from([2, 0x88, 0, 0])),
        // x: y
        encodeFrame(continuation, FrameFlag.endHeaders, id, Buffer.from('\x00\x01x\x01y', 'latin1')),
        encodeFrame(data, FrameFlag.padded, id, Buffer.from([1, 0x20, 0])),
        encodeFrame(
          headers,
          FrameFlag.endHeaders | FrameFlag.endStream,
          id,
          Buffer.from('\x00\x01t\x01z', 'latin1'),
        ),
        encodeFrame(0x7f, 0, id, Buffer.from('unknown')),
      );
    },
  });
  const { submit, observed } = kit.open(server.port);
  expect((await submit({ count: 10 }).settled()).sums).toEqual({ proved: 10 });
  expect(observed.ends).toEqual([]);
});

test('stream identifiers that run out bring a new connection', async ({ kit }) => {
  const gateway = await kit.node();
  const { submit, observed } = kit.open(gateway.port, { lastStreamId: 21 });
  expect((await submit({ count: 50 }).settled()).sums).toEqual({ proved: 50 });
  expect(observed.opened).toBe(5);
  expect(gateway.requests.every(({ streamId }) => streamId <= 21)).toBe(true);
});

describe('the way to the gateway', () => {
  test('what a gateway that is away keeps from being sent is handed back, and it is tried again', async ({
    kit,
  }) => {
    const gateway = await kit.node();
    const proxy = await kit.proxy(gateway.port);
    await proxy.disable();
    const { submit, observed, transport } = kit.open(proxy.port);
    expect((await submit({ count: 3 }).settled()).sums).toEqual({ unprocessed: 3 });
    expect(observed.ends.slice(0, 3)).toEqual(['connect-failed', 'connect-failed', 'connect-failed']);
    expect(transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
    expect(transport.room).toBe(0);
    await proxy.enable();
    await expect.poll(() => transport.state.kind).toBe('open');
    expect((await submit({ count: 3 }).settled()).sums).toEqual({ proved: 3 });
  });

  test('a far end that speaks no HTTP/2 is trouble of this worker', async ({ kit }) => {
    const { certificatePem: cert, privateKeyPem: key } = kit.server;
    const server = createTlsServer({ cert, key, ALPNProtocols: ['http/1.1'] });
    server.on('secureConnection', (socket) => socket.on('error', () => undefined));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { submit, transport } = kit.open((server.address() as AddressInfo).port);
    expect((await submit({ count: 3 }).settled()).sums).toEqual({ unprocessed: 3 });
    expect(transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
    transport.destroy();
    server.close();
  });

  test.for(['close', 'reset'] as const)(
    'cut anywhere (%s), everything has an outcome',
    async (how, { kit }) => {
      const gateway = await kit.node();
      const proxy = await kit.proxy(gateway.port);
      const { submit, transport } = kit.open(proxy.port, { connections: 2 });
      for (let cut = 1; cut <= 12; cut++) {
        const remove = proxy.add('upstream', { type: 'limit_data', bytes: 1_500 + cut * 997, how });
        const run = submit({ count: 40, seed: cut });
        await run.settled();
        remove();
        const { proved = 0, uncertain = 0 } = run.sums;
        expect(proved + uncertain).toBe(40);
      }
      transport.destroy();
    },
  );

  test('through a proxy by CONNECT', async ({ kit }) => {
    const gateway = await kit.node();
    const asked: string[] = [];
    const proxy = createServer((client) => {
      client.once('data', (head) => {
        asked.push(head.toString());
        if (!head.toString().includes('proxy-authorization: Basic x')) {
          client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
          return;
        }
        const upstream = connect(gateway.port, '127.0.0.1');
        client.on('error', () => upstream.destroy());
        upstream.on('error', () => client.destroy());
        // In two pieces, as it may come.
        client.write('HTTP/1.1 200 Connection');
        setImmediate(() => {
          client.write(' established\r\n\r\n');
          client.pipe(upstream).pipe(client);
        });
      });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const good = kit.open(gateway.port, { proxy: { host: '127.0.0.1', port, authorization: 'Basic x' } });
    expect((await good.submit({ count: 3 }).settled()).sums).toEqual({ proved: 3 });
    expect(asked[0]).toBe(
      `CONNECT localhost:${gateway.port} HTTP/1.1\r\nhost: localhost:${gateway.port}\r\nproxy-authorization: Basic x\r\n\r\n`,
    );
    const bad = kit.open(gateway.port, { proxy: { host: '127.0.0.1', port } });
    expect((await bad.submit({ count: 1 }).settled()).sums).toEqual({ unprocessed: 1 });
    expect(bad.observed.ends).toContain('connect-failed');
    expect(bad.transport.state).toMatchObject({
      kind: 'paused',
      about: 'worker',
      reason: expect.stringContaining('407'),
    });
    bad.transport.destroy();
    good.transport.destroy();
    proxy.close();
  });

  test('a gateway whose certificate we cannot verify is not spoken to', async ({ kit }) => {
    const gateway = await kit.node();
    const { submit, observed, transport } = kit.open(gateway.port, { serverName: 'elsewhere.example' });
    const run = await submit({ count: 2 }).settled();
    expect(run.sums).toEqual({ unprocessed: 2 });
    expect(observed.ends.every((end) => end === 'tls-failed')).toBe(true);
    expect(transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
    expect(gateway.requests).toEqual([]);
  });
});
