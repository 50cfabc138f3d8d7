import type { AddressInfo } from 'node:net';
import { ServiceError, type ServiceKitErrorCode } from './service-error.ts';

/** The part of a Fastify server that is needed here. */
interface Listener {
  listen(options: { host: string; port: number }): Promise<string>;
  readonly server: { address(): AddressInfo | string | null };
}

/**
 * Listens, and gives the port.
 * @param variable Which variable of the environment sets the port, for the error message.
 * @throws ServiceError `port-taken` or `address-unavailable`
 */
export async function listenAt(
  listener: Listener,
  address: { readonly host: string; readonly port: number },
  variable: string,
): Promise<number> {
  const { host, port } = address;
  try {
    await listener.listen({ host, port });
  } catch (cause) {
    throw listenError(cause, `${host}:${port}`, variable);
  }
  return (listener.server.address() as AddressInfo).port;
}

function listenError(cause: unknown, address: string, variable: string): ServiceError<ServiceKitErrorCode> {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return new ServiceError(
      'port-taken',
      `Another program listens at ${address} already: stop it, or set ${variable} to another port (0: a free one)`,
      { cause },
    );
  }
  return new ServiceError(
    'address-unavailable',
    `Cannot listen at ${address} (${variable}): ${code ?? String(cause)}`,
    {
      cause,
    },
  );
}
