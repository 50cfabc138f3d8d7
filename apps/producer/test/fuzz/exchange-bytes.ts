import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exchange } from './hostile-requests.ts';

export interface Answer {
  /** Undefined: the connection ended without one. */
  readonly status: number | undefined;
  /** Of a problem. */
  readonly code: string | undefined;
  /** There was no answer in time, and the connection was still open. */
  readonly isHung: boolean;
}

/** Longer than anything may take, milliseconds: the deadline of a body is 60 s. */
const hungMs = 90_000;

/** Puts an exchange on a connection of its own, and gives the first answer. Never rejects. */
export async function exchangeBytes(port: number, exchange: Exchange): Promise<Answer> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  // An answer before the end of the body ends the connection, which may come as a reset.
  socket.on('error', () => undefined);
  const answer = readAnswer(socket);
  const timer = new AbortController();
  const hung = delay(hungMs, 'hung' as const, { signal: timer.signal }).catch(() => 'hung' as const);
  try {
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    switch (exchange.kind) {
      case 'whole':
        socket.write(exchange.bytes);
        break;
      case 'slow':
        for (const piece of exchange.pieces) {
          if (socket.destroyed) break;
          socket.write(piece);
          await delay(exchange.pauseMs);
        }
        break;
      case 'aborted':
        socket.write(exchange.bytes);
        await delay(exchange.afterMs);
        socket.destroy();
        return { status: undefined, code: undefined, isHung: false };
      case 'noise':
        socket.end(exchange.bytes);
        break;
      default:
        return exchange satisfies never;
    }
    const text = await Promise.race([answer, hung]);
    if (text === 'hung') return { status: undefined, code: undefined, isHung: true };
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
    return {
      status: status === undefined ? undefined : Number(status),
      code: /"code":"([\w-]+)"/.exec(text)?.[1],
      isHung: false,
    };
  } finally {
    timer.abort();
    socket.destroy();
  }
}

/** The first answer that is final: its head, and what came of its body by then; empty: the connection ended. */
function readAnswer(socket: NodeJS.ReadableStream & { once: unknown }): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    // 100 Continue comes before.
    text = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    if (text.length >= end + 4 + length) resolve(text);
  });
  socket.on('close', () => resolve(text));
  return promise;
}
