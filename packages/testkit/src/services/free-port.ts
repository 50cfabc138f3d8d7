import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { ProcessError } from '../processes/supervised-process.ts';

/**
 * A TCP port of 127.0.0.1 that was free a moment ago, for servers that cannot be asked to listen on port 0,
 * and for what is to find nobody there. Another process may take it first: whoever starts a server on it must be ready to try again.
 */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server on a free port, and on another when someone took the first meanwhile. */
export async function startOnFreePort<Server>(
  start: (port: number) => Promise<Server>,
): Promise<{ port: number; server: Server }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await findFreePort();
    try {
      return { port, server: await start(port) };
    } catch (cause) {
      const portTaken = cause instanceof ProcessError && /address already in use/i.test(cause.output);
      if (!portTaken || attempt === 5) throw cause;
    }
  }
}
