import type { SupervisedProcess } from '../processes/supervised-process.ts';

/** A server that is ours alone: tests may kill it and bring it back on the same port with the same data. */
export interface RestartableServer {
  /** Where to connect; stays the same across `kill` and `restart`. Holds a password made for this server. */
  readonly url: string;
  /** What it is, for people: `redis-server from the PATH (/usr/bin/redis-server)`. */
  readonly description: string;
  /** Ends it at once with SIGKILL, as a crash would. Its data stay for `restart`. */
  kill(): Promise<void>;
  /** Starts it again, after `kill` or while it runs (it is then stopped in order first). */
  restart(): Promise<void>;
  /** Ends it for good and removes its data. */
  stop(): Promise<void>;
}

/** How long a server may take to start, milliseconds: generous, for machines that are busy with other tests. */
export const serverStartTimeoutMs = 60_000;

/** How long it may take to stop in order before it is killed, milliseconds. */
export const serverStopTimeoutMs = 10_000;

/** Waits for the line by which a server says that it takes connections; a server that does not say it is ended. */
export async function waitUntilReady(
  server: SupervisedProcess,
  readyText: string,
): Promise<SupervisedProcess> {
  try {
    await server.waitForLine(({ text }) => (text.includes(readyText) ? true : undefined), {
      what: 'was not ready',
      timeoutMs: serverStartTimeoutMs,
    });
    return server;
  } catch (cause) {
    await server.kill();
    throw cause;
  }
}
