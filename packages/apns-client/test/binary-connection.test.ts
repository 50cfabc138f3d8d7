import { describe, expect, test } from 'vitest';
import type { BinaryClosure } from '../src/binary/closure.ts';
import { BinaryConnection } from '../src/binary/connection.ts';
import type { BinaryConnectionOptions } from '../src/binary/options.ts';
import { WriteAhead } from '../src/binary/write-ahead.ts';
import { countOf, type Span } from '../src/transport/span.ts';
import { SpanQueue } from '../src/transport/span-queue.ts';
import { TrackedRun } from '../src/transport/tracked-run.ts';
import { WaitingSpans } from '../src/transport/waiting-spans.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeGateway } from './fake-gateway.ts';
import { RecordedRun } from './recorded-run.ts';

/** One connection to a gateway without a network, open already. */
function open(options: Partial<BinaryConnectionOptions> = {}) {
  const clock = new FakeClock();
  const gateway = new FakeGateway();
  const closures: BinaryClosure[] = [];
  let writable = 0;
  const connection = new BinaryConnection(
    {
      id: 'gateway#1',
      host: 'gateway.test',
      port: 2195,
      serverName: 'gateway.test',
      secureContext: {} as never,
      keepAliveMs: 60_000,
      command: 2,
      window: 1_000,
      stretch: new WriteAhead(200, false).begin(),
      connectTimeoutMs: 10_000,
      writeStallMs: 20_000,
      errorGraceMs: 1_000,
      shutdownIdentifier: 'last-sent',
      clock,
      openSocket: gateway.openSocket,
      ...options,
    },
    {
      opened: (opened) => opened.serve(),
      trusted: () => undefined,
      progressed: () => {
        writable += 1;
      },
      ended: (_, closure) => closures.push(closure),
    },
  );
  const [socket] = gateway.sockets;
  const queue = new SpanQueue();
  const run = (count: number): TrackedRun => new TrackedRun(new RecordedRun({ count }), { inFlight: 0 });
  return {
    clock,
    connection,
    closures,
    socket: socket!,
    get writable() {
      return writable;
    },
    /** Writes so many notifications. */
    write: (count: number): void => {
      queue.push({ run: run(count), from: 0, to: count });
      connection.write(new WaitingSpans(queue, clock));
    },
    /** How many silence has settled. */
    silent: (sinceMs: number): number => {
      let count = 0;
      connection.takeSilent(sinceMs, (_, from, to) => {
        count += to - from;
      });
      return count;
    },
    /** How it ended, and what became of how many. */
    get end() {
      expect(closures).toHaveLength(1);
      const { end, proved, named, unprocessed, uncertain } = closures[0]!;
      const sums = { proved, unprocessed, uncertain, named: named === undefined ? [] : [named] };
      const counts = Object.entries(sums).map(([name, spans]) => [name, countOf(spans as readonly Span[])]);
      return { end, ...Object.fromEntries(counts.filter(([, count]) => count !== 0)) };
    },
  };
}

function serving(options: Partial<BinaryConnectionOptions> = {}) {
  const opened = open(options);
  opened.socket.accept();
  return opened;
}

describe('silence', () => {
  test('counts from when the kernel has taken a frame, not from when it was handed over', () => {
    const { clock, socket, write, silent } = serving();
    write(10);
    clock.advance(5_000);
    expect(silent(1_000)).toBe(0);
    socket.take();
    clock.advance(999);
    expect(silent(1_000)).toBe(0);
    clock.advance(1);
    expect(silent(1_000)).toBe(10);
  });

  test('settles in the order of writing, write by write', () => {
    const { clock, socket, write, silent, connection } = serving();
    write(10);
    socket.take();
    clock.advance(500);
    write(20);
    socket.take();
    clock.advance(500);
    expect(silent(1_000)).toBe(10);
    expect(connection.window.size).toBe(20);
    clock.advance(500);
    expect(silent(1_000)).toBe(20);
  });

  test('means nothing while a write makes no progress', () => {
    const { clock, socket, write, silent } = serving();
    write(10);
    socket.take();
    write(5);
    clock.advance(1_000);
    expect(silent(1_000)).toBe(0);
    socket.take();
    expect(silent(1_000)).toBe(10);
  });

  test('does not count any more once the known-bad frame is written', () => {
    const { clock, socket, write, silent, connection } = serving();
    write(10);
    socket.take();
    connection.leave('drained', 60_000);
    clock.advance(5_000);
    expect(silent(1_000)).toBe(0);
  });

  test('is all that ends a connection of command 0', () => {
    const opened = serving({ command: 0 });
    opened.write(10);
    opened.socket.take();
    opened.connection.leave('drained', 5_000);
    expect(opened.connection.state).toBe('leaving');
    opened.clock.advance(1_000);
    expect(opened.silent(1_000)).toBe(10);
    expect(opened.end).toEqual({ end: 'drained' });
  });

  test('that does not come in time leaves command 0 in doubt', () => {
    const opened = serving({ command: 0 });
    opened.write(10);
    opened.connection.leave('drained', 500);
    opened.clock.advance(500);
    expect(opened.end).toEqual({ end: 'proof-timeout', uncertain: 10 });
  });
});

describe('an error response', () => {
  test('for what silence had settled says how many were presumed wrongly, and gives back the rest', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.take();
    opened.clock.advance(1_000);
    expect(opened.silent(1_000)).toBe(10);
    opened.write(5);
    opened.socket.take();
    opened.socket.say(8, 4);
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'error-response', unprocessed: 5 });
    // The fourth, and the six after it.
    expect(opened.closures[0]?.answer?.wronglyPresumed).toBe(7);
  });

  test('of a shutdown that names the last one settled finds nothing wrong with silence', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.take();
    opened.clock.advance(1_000);
    opened.silent(1_000);
    opened.socket.say(10, 10);
    opened.socket.deliver();
    expect(opened.closures[0]?.answer).toMatchObject({ meaning: 'accepted', wronglyPresumed: 0 });
  });

  test('is still read after a write has failed', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.take();
    opened.socket.say(8, 3);
    opened.socket.failWrites();
    expect(opened.connection.state).toBe('listening');
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'error-response', proved: 2, named: 1, unprocessed: 7 });
  });

  test('that does not come after a failed write is not waited for long', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.failWrites();
    opened.clock.advance(999);
    expect(opened.closures).toEqual([]);
    opened.clock.advance(1);
    expect(opened.end).toEqual({ end: 'write-error', uncertain: 10 });
  });

  test('that is none leaves everything in doubt', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.babble(Buffer.from('HTTP/1.1 400 Bad Request'));
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'protocol-violation', uncertain: 10 });
  });
});

describe('the known-bad frame', () => {
  test.for([
    ['by its identifier', 2, 11],
    ['by its identifier and another status', 5, 11],
    ['with identifier 0, as the sandbox does', 2, 0],
  ] as const)('proves everything before it, answered %s', ([, status, identifier]) => {
    const opened = serving();
    opened.write(10);
    opened.connection.leave('rotated', 5_000);
    opened.socket.say(status, identifier);
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'rotated', proved: 10 });
  });

  test('goes out behind writes that are still under way', () => {
    const opened = serving();
    opened.write(500);
    opened.write(400);
    opened.connection.leave('drained', 5_000);
    opened.socket.flow();
    expect(opened.end).toEqual({ end: 'drained', proved: 900 });
  });

  test('proves nothing when an error before it is what the gateway answers', () => {
    const opened = serving();
    opened.write(10);
    opened.connection.leave('drained', 5_000);
    opened.socket.say(8, 6);
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'error-response', proved: 5, named: 1, unprocessed: 4 });
  });

  test('proves nothing with identifier 0 and another status', () => {
    const opened = serving();
    opened.write(10);
    opened.connection.leave('drained', 5_000);
    opened.socket.say(8, 0);
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'error-response', uncertain: 10 });
  });

  test('may be answered after the write of it has failed', () => {
    const opened = serving();
    opened.write(10);
    opened.socket.take();
    opened.connection.leave('drained', 5_000);
    opened.socket.say(2, 11);
    opened.socket.failWrites();
    opened.socket.deliver();
    expect(opened.end).toEqual({ end: 'drained', proved: 10 });
  });

  test('that is not answered in time leaves everything in doubt', () => {
    const opened = serving();
    opened.write(10);
    opened.connection.leave('drained', 5_000);
    opened.clock.advance(5_000);
    expect(opened.end).toEqual({ end: 'proof-timeout', uncertain: 10 });
  });

  test('is not spent where nothing is in flight', () => {
    const opened = serving();
    opened.connection.leave('drained', 5_000);
    expect(opened.end).toEqual({ end: 'drained' });
  });
});

describe('writing', () => {
  test('stops at two writes under way, and goes on when one is taken', () => {
    const opened = serving();
    opened.write(5);
    opened.write(5);
    expect(opened.connection.isWritable).toBe(false);
    opened.socket.take();
    expect([opened.connection.isWritable, opened.writable]).toEqual([true, 1]);
  });

  test('stops when the window is full', () => {
    const opened = serving({ window: 8 });
    opened.write(20);
    opened.socket.take();
    expect([opened.connection.window.size, opened.connection.isWritable]).toEqual([8, false]);
  });

  test('that makes no progress ends the connection; each step of progress gives it its time anew', () => {
    const opened = serving();
    opened.write(5);
    opened.clock.advance(15_000);
    opened.write(5);
    opened.socket.take();
    opened.clock.advance(19_999);
    expect(opened.closures).toEqual([]);
    opened.clock.advance(1);
    expect(opened.end).toEqual({ end: 'write-stalled', uncertain: 10 });
    expect(opened.clock.pending).toBe(0);
  });
});

test('a handshake that takes too long is given up', () => {
  const opened = open();
  opened.clock.advance(10_000);
  expect(opened.end).toEqual({ end: 'connect-failed' });
  opened.socket.accept();
  expect(opened.connection.state).toBe('closed');
});
