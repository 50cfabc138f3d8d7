import { randomUUID } from 'node:crypto';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import {
  CertificateCredential,
  type CredentialLocation,
  keyToPem,
  loadCertificate,
  loadCredential,
  readPassphrase,
  toJoinedPem,
  toPkcs12,
} from '@pushfleet/apns-credentials';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import type { Terminal } from '../terminal.ts';
import { addCredentialOptions, type CredentialOptions, fileHelp, locateFile } from './credential-options.ts';

const formats = ['cert', 'key', 'joined', 'p12'] as const;
type Format = (typeof formats)[number];

interface ConvertOptions extends CredentialOptions {
  readonly to: Format;
  readonly out: string;
  readonly newPassphraseFile?: string;
  readonly newPassphraseEnv?: string;
  readonly oldReaders?: boolean;
  readonly force?: boolean;
}

export function addConvertCommand(credentials: Command, terminal: Terminal): void {
  const command = credentials
    .command('convert')
    .description('turn a certificate and its key into another form, as the how-tos do with openssl')
    .argument('<file>', fileHelp)
    .addOption(new Option('--to <form>', 'what to make of it').choices(formats).makeOptionMandatory())
    .requiredOption('--out <file>', 'where to write it; an existing file is kept unless --force');
  addCredentialOptions(command)
    .option('--new-passphrase-file <file>', 'file with the passphrase for the result: a must for p12')
    .option('--new-passphrase-env <name>', 'environment variable with it')
    .option('--old-readers', 'p12 under 3DES and SHA-1, for macOS before 15 and old Windows')
    .option('--force', 'replace an existing file')
    .addHelpText('after', explanation)
    .action(async (file: string, options: ConvertOptions) => {
      const content = await convert(file, options, terminal.env);
      const isSecret = options.to !== 'cert';
      await writeOutput(options.out, content, { isSecret, force: options.force === true });
      terminal.print(
        { file: options.out, form: options.to },
        () => `wrote ${options.out}: ${formHelp[options.to]}`,
      );
    });
}

const formHelp: Readonly<Record<Format, string>> = {
  cert: 'certificate, PEM',
  key: 'private key, PEM (PKCS #8)',
  joined: 'certificate and private key in one PEM file, the ck.pem of the how-tos',
  p12: 'certificate and private key, PKCS #12',
};

const explanation = `
The forms:
  cert    ${formHelp.cert}; all that is needed of an aps.cer
  key     ${formHelp.key}; encrypted when a new passphrase is given
  joined  ${formHelp.joined}
  p12     ${formHelp.p12}

Files with a private key are readable by their owner alone. Pushfleet itself reads all of these, so that it needs no
conversion.

Examples, and what they replace:
  pushfleet credentials convert aps.cer --to cert --out aps.pem
    openssl x509 -inform der -in aps.cer -out aps.pem
  pushfleet credentials convert shop.p12 --passphrase-file shop.passphrase --to key --out key.pem
    openssl pkcs12 -legacy -nocerts -nodes -in shop.p12 -out key.pem
  pushfleet credentials convert aps.cer --key key.pem --to joined --out ck.pem
    cat aps.pem key.pem > ck.pem
  pushfleet credentials convert ck.pem --to p12 --new-passphrase-file new.passphrase --out shop.p12
    openssl pkcs12 -export -in ck.pem -out shop.p12`;

async function convert(
  file: string,
  options: ConvertOptions,
  env: NodeJS.ProcessEnv,
): Promise<string | Buffer> {
  const location = await locateFile(file, options);
  const { to } = options;
  // An aps.cer has no key, and needs none to become PEM.
  if (to === 'cert' && 'cert' in location) return (await loadCertificate(location.cert)).certPem;
  const credential = await loadWhole(location, env);
  const passphrase = await newPassphrase(options, env);
  switch (to) {
    case 'cert':
      return credential.certPem;
    case 'key':
      return keyToPem(credential, passphrase);
    case 'joined':
      return toJoinedPem(credential, passphrase);
    case 'p12':
      if (passphrase === undefined) {
        throw new CliError('usage', 'a .p12 needs --new-passphrase-file or --new-passphrase-env');
      }
      return toPkcs12(credential, {
        passphrase,
        encryption: options.oldReaders === true ? '3des' : 'aes256',
      });
    default:
      return to satisfies never;
  }
}

async function loadWhole(
  location: CredentialLocation,
  env: NodeJS.ProcessEnv,
): Promise<CertificateCredential> {
  const credential = await loadCredential(location, { environment: env });
  if (credential instanceof CertificateCredential) return credential;
  throw new CliError('usage', 'a provider key (.p8) has no other form: Pushfleet reads it as it is');
}

async function newPassphrase(options: ConvertOptions, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { newPassphraseFile: file, newPassphraseEnv: name } = options;
  if (file !== undefined && name !== undefined) {
    throw new CliError('usage', 'give --new-passphrase-file or --new-passphrase-env, not both');
  }
  if (file !== undefined) return readPassphrase({ file }, env);
  return name === undefined ? undefined : readPassphrase({ env: name }, env);
}

interface WriteOptions {
  /** Readable by the owner alone. */
  readonly isSecret: boolean;
  /** Replaces a file that is there. */
  readonly force: boolean;
}

/**
 * Writes a whole file or none of it.
 * @throws CliError `file-exists`, `file-not-written`
 */
async function writeOutput(
  path: string,
  content: string | Buffer,
  { isSecret, force }: WriteOptions,
): Promise<void> {
  const partial = `${path}.${randomUUID()}`;
  try {
    await writeFile(partial, content, { flag: 'wx', mode: isSecret ? 0o600 : 0o644 });
    if (force) await rename(partial, path);
    else await link(partial, path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new CliError('file-exists', `${path} is there already: name another file, or give --force`);
    }
    throw new CliError('file-not-written', `${path} cannot be written: ${code ?? message}`, { cause });
  } finally {
    await rm(partial, { force: true });
  }
}
