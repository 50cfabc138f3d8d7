import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createPrivateFolder,
  findPostgres,
  openPostgresProgram,
  type PrivateFolder,
  type RestartableServer,
} from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate, openTokenStore } from '../src/index.ts';

// A PostgreSQL that speaks TLS under the name localhost. Where there is no program of it there is nothing to try.

const binaries = await findPostgres();
let folder: PrivateFolder;
let server: RestartableServer;

beforeAll(async () => {
  if (binaries === undefined) return;
  const [authority, other] = await Promise.all([
    TestAuthority.create(),
    TestAuthority.create({ commonName: 'Another Authority' }),
  ]);
  folder = await createPrivateFolder('postgres-tls');
  await writeFile(join(folder.path, 'ca.pem'), authority.certificatePem);
  await writeFile(join(folder.path, 'other-ca.pem'), other.certificatePem);
  const tls = await authority.issueServerCertificate({ hosts: ['localhost'], addresses: [] });
  server = await openPostgresProgram(binaries, { tls });
});
afterAll(async () => {
  await server?.stop();
  await folder?.remove();
});

function urlOf(sslmode: string, ca: string, host = 'localhost'): string {
  const url = new URL(server.url);
  url.hostname = host;
  url.searchParams.set('sslmode', sslmode);
  url.searchParams.set('sslrootcert', join(folder.path, ca));
  return url.href;
}

test.skipIf(binaries === undefined)(
  'with its authority and its name, the schema comes and every statement goes over TLS',
  async () => {
    const connectionString = urlOf('verify-full', 'ca.pem');
    expect(await migrate(connectionString)).not.toEqual([]);
    const { database, close } = openTokenStore({ connectionString });
    const { rows } = await database.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
    await close();
  },
);

test.skipIf(binaries === undefined).each([
  ['another authority', () => urlOf('verify-full', 'other-ca.pem'), /certificate/],
  ['another name', () => urlOf('verify-full', 'ca.pem', '127.0.0.1'), /127\.0\.0\.1.*cert/],
  ['no file of an authority', () => urlOf('verify-full', 'none.pem'), /none\.pem/],
])('a server of %s is not spoken to, and the error says why', async (_, url, message) => {
  await expect(migrate(url())).rejects.toThrow(message);
});
