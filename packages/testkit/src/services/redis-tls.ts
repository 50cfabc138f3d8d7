import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TestAuthority } from '../certificates/test-authority.ts';
import { findFreePort } from './free-port.ts';
import { createPrivateFolder } from './private-folder.ts';
import { openRedisProgram } from './redis-program.ts';
import type { RestartableServer } from './restartable-server.ts';

type TlsFile = 'ca.pem' | 'cert.pem' | 'key.pem' | 'client.pem' | 'client-key.pem';

export interface TlsRedis extends Pick<RestartableServer, 'stop'> {
  /**
   * As `REDIS_URL` takes it.
   * @param parameters Files by the name of their parameter: `{ ca: 'ca.pem' }`.
   */
  url(parameters: Readonly<Record<string, TlsFile>>): string;
}

/** The files that a client needs: with them it is let in. */
export const tlsRedisClient = { ca: 'ca.pem', cert: 'client.pem', key: 'client-key.pem' } as const;

/**
 * Starts a Redis that takes connections over TLS and wants a certificate of its clients.
 * @returns Undefined where the program was built without TLS.
 */
export async function openTlsRedis(program: string): Promise<TlsRedis | undefined> {
  const folder = await createPrivateFolder('redis-tls');
  const path = (name: TlsFile) => join(folder.path, name);
  const authority = await TestAuthority.create();
  const identity = await authority.issueServerCertificate({ hosts: ['localhost'] });
  const client = await authority.issueApnsCertificate({ topic: 'com.example.shop' });
  await writeFile(path('ca.pem'), authority.certificatePem);
  await writeFile(path('cert.pem'), identity.certificatePem);
  await writeFile(path('key.pem'), identity.privateKeyPem);
  await writeFile(path('client.pem'), client.certificatePem);
  await writeFile(path('client-key.pem'), client.privateKeyPem);
  const port = await findFreePort();
  let server: RestartableServer;
  try {
    server = await openRedisProgram(program, {
      configuration: [
        `tls-port ${port}`,
        `tls-cert-file ${path('cert.pem')}`,
        `tls-key-file ${path('key.pem')}`,
        `tls-ca-cert-file ${path('ca.pem')}`,
        'tls-auth-clients yes',
      ],
    });
  } catch {
    await folder.remove();
    return undefined;
  }
  const { password } = new URL(server.url);
  return {
    url(parameters) {
      const query = new URLSearchParams();
      for (const [name, file] of Object.entries(parameters)) query.set(name, path(file));
      return `rediss://:${password}@localhost:${port}?${query.toString()}`;
    },
    async stop() {
      await server.stop();
      await folder.remove();
    },
  };
}
