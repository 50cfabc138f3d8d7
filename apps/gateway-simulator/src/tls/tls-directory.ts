import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TestAuthority, type TestIdentity } from '@pushfleet/testkit/certificates';

/** The certificates of a simulator cannot be used; the message names the file. */
export class TlsDirectoryError extends Error {
  override readonly name = 'TlsDirectoryError';
}

export interface ServerIdentity {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface ClientIdentityFiles {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
}

const names = {
  ca: 'ca.pem',
  caKey: 'ca-key.pem',
  server: 'server.pem',
  serverKey: 'server-key.pem',
  client: 'client.pem',
  clientKey: 'client-key.pem',
} as const;

/**
 * The simulator's certificates on disk: `ca.pem`, `server.pem`, `client.pem` (for both environments, with a topic
 * list) and their keys, `*-key.pem`. What is there is used; what is missing is signed by the authority there, or by a
 * new one when the directory has none. Without `ca-key.pem` nothing can be signed.
 */
export class TlsDirectory {
  readonly path: string;
  readonly server: ServerIdentity;
  readonly #authority: TestAuthority | undefined;

  private constructor(path: string, server: ServerIdentity, authority: TestAuthority | undefined) {
    this.path = path;
    this.server = server;
    this.#authority = authority;
  }

  /**
   * @param serverNames DNS names that the server certificate must be good for, besides localhost.
   * @param topic Of `client.pem`, when it is made.
   */
  static async open(path: string, serverNames: readonly string[], topic: string): Promise<TlsDirectory> {
    await mkdir(path, { recursive: true });
    const at = (name: keyof typeof names): string => join(path, names[name]);
    const authority = await openAuthority(at('ca'), at('caKey'));
    const hosts = ['localhost', ...serverNames];
    const server = await openIdentity(at('server'), at('serverKey'), authority, {
      isUsable: (certificate) => hosts.every((host) => certificate.checkHost(host) !== undefined),
      issue: async (signer) => signer.issueServerCertificate({ hosts }),
    });
    await openIdentity(at('client'), at('clientKey'), authority, {
      isUsable: () => true,
      issue: async (signer) => issueClient(signer, topic, ['development', 'production']),
    });
    return new TlsDirectory(path, { ...server, caPem: authority.certificatePem }, authority.signer);
  }

  /**
   * Signs a push certificate for one more app and writes it to `apps/<name>.pem` and `apps/<name>-key.pem`.
   * @throws TlsDirectoryError without the authority's key.
   */
  async issueClientCertificate(
    name: string,
    topic: string,
    environments: readonly ('development' | 'production')[],
  ): Promise<ClientIdentityFiles> {
    if (this.#authority === undefined)
      throw new TlsDirectoryError(`${join(this.path, names.caKey)} is missing`);
    const identity = await issueClient(this.#authority, topic, environments);
    const folder = join(this.path, 'apps');
    await mkdir(folder, { recursive: true });
    const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) };
    await writeIdentity(files.certificate, files.key, identity);
    return files;
  }
}

interface Authority {
  readonly certificatePem: string;
  /** Undefined when its key is not there. */
  readonly signer: TestAuthority | undefined;
}

async function openAuthority(certificatePath: string, keyPath: string): Promise<Authority> {
  const [certificatePem, keyPem] = await Promise.all([read(certificatePath), read(keyPath)]);
  if (certificatePem === undefined) {
    const signer = await TestAuthority.create();
    await writeFile(keyPath, signer.privateKeyPem, { mode: 0o600 });
    await writeFile(certificatePath, signer.certificatePem);
    return { certificatePem: signer.certificatePem, signer };
  }
  parseCertificate(certificatePath, certificatePem);
  if (keyPem === undefined) return { certificatePem, signer: undefined };
  try {
    return { certificatePem, signer: TestAuthority.load(certificatePem, keyPem) };
  } catch (cause) {
    throw new TlsDirectoryError(`${keyPath} is not the private key of ${certificatePath}`, { cause });
  }
}

interface IdentityNeeds {
  isUsable(certificate: X509Certificate): boolean;
  issue(authority: TestAuthority): Promise<TestIdentity>;
}

async function openIdentity(
  certificatePath: string,
  keyPath: string,
  authority: Authority,
  needs: IdentityNeeds,
): Promise<Omit<ServerIdentity, 'caPem'>> {
  const [certificatePem, privateKeyPem] = await Promise.all([read(certificatePath), read(keyPath)]);
  if (certificatePem !== undefined && privateKeyPem !== undefined) {
    const certificate = parseCertificate(certificatePath, certificatePem);
    const isSigned = certificate.verify(new X509Certificate(authority.certificatePem).publicKey);
    const isCurrent = Date.now() < certificate.validToDate.getTime();
    if (isSigned && isCurrent && needs.isUsable(certificate)) return { certificatePem, privateKeyPem };
  }
  if (authority.signer === undefined) {
    throw new TlsDirectoryError(
      `${certificatePath} is missing, over, of another authority or for other names, and without ca-key.pem no other can be made`,
    );
  }
  const identity = await needs.issue(authority.signer);
  await writeIdentity(certificatePath, keyPath, identity);
  return identity;
}

async function issueClient(
  authority: TestAuthority,
  topic: string,
  environments: readonly ('development' | 'production')[],
): Promise<TestIdentity> {
  return authority.issueApnsCertificate({
    topic,
    environments,
    topics: [
      { topic, kinds: ['app'] },
      { topic: `${topic}.voip`, kinds: ['voip'] },
      { topic: `${topic}.complication`, kinds: ['complication'] },
    ],
  });
}

async function writeIdentity(
  certificatePath: string,
  keyPath: string,
  identity: TestIdentity,
): Promise<void> {
  await writeFile(keyPath, identity.privateKeyPem, { mode: 0o600 });
  await writeFile(certificatePath, identity.certificatePem);
}

function parseCertificate(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new TlsDirectoryError(`${path} is not a certificate in PEM`, { cause });
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
