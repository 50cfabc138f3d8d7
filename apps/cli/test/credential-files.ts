import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCertificates, type TestCertificates } from '@pushfleet/testkit/certificates';

const passphrase = 'geheim';
export const env = { TEST_PASSPHRASE: passphrase, TEST_WRONG_PASSPHRASE: 'falsch' };
export const withPassphrase = ['--passphrase-env', 'TEST_PASSPHRASE'];

export interface CredentialFiles {
  readonly certificates: TestCertificates;
  path(name: string): string;
  write(name: string, content: string | Buffer): Promise<string>;
  remove(): Promise<void>;
}

/** Credentials of every kind, in files as people have them. */
export async function createCredentialFiles(): Promise<CredentialFiles> {
  const [certificates, folder] = await Promise.all([
    createTestCertificates({ topic: 'com.example.shop' }),
    mkdtemp(join(tmpdir(), 'pushfleet-cli-')),
  ]);
  const path = (name: string): string => join(folder, name);
  const write = async (name: string, content: string | Buffer): Promise<string> => {
    await writeFile(path(name), content);
    return path(name);
  };
  const { universal, production, expired, plain, providerKey } = certificates;
  await Promise.all([
    write('aps.cer', universal.certificateDer),
    write('aps.pem', universal.certificatePem),
    write('key.pem', universal.privateKeyPem),
    write('ck.pem', universal.bundlePem),
    write('shop.p12', universal.toPkcs12({ passphrase })),
    write('keychain.p12', universal.toPkcs12({ passphrase, encryption: 'legacy' })),
    write('production.pem', production.bundlePem),
    write('expired.pem', expired.bundlePem),
    write('plain.pem', plain.bundlePem),
    write('AuthKey_KEY1234567.p8', providerKey.p8),
    write('shop.passphrase', `${passphrase}\n`),
  ]);
  return { certificates, path, write, remove: async () => rm(folder, { recursive: true, force: true }) };
}
