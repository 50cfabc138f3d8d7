import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

export interface EndConnectionsOptions {
  /** How long requests that are under way at the stop may take, milliseconds. */
  readonly drainMs: number;
}

/** For the head of a request that is on its way when the stop begins, so that it can be told; milliseconds. */
const headMs = 1_000;

/**
 * Bounds how long connections hold a stop up. Those without a request are closed soon, also when they never sent a byte
 * (which Node does not count as idle); the others when their request is answered, or at the deadline.
 */
export function endConnections(app: FastifyInstance, { drainMs }: EndConnectionsOptions): void {
  const connections = new Set<Socket>();
  const underWay = new Set<IncomingMessage>();
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  app.addHook('onRequest', ({ raw }, reply, done) => {
    underWay.add(raw);
    reply.raw.once('close', () => underWay.delete(raw));
    done();
  });
  app.addHook('preClose', (done) => {
    const silence = setTimeout(
      () => {
        const busy = new Set([...underWay].map(({ socket }) => socket));
        for (const socket of connections) if (!busy.has(socket)) socket.destroy();
      },
      Math.min(headMs, drainMs),
    );
    const deadline = setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, drainMs);
    app.server.once('close', () => {
      clearTimeout(silence);
      clearTimeout(deadline);
    });
    done();
  });
}
