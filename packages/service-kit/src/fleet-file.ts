import { access, constants, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { type AppConfig, fileSchema } from './config.ts';
import type { ConfigProblem } from './config-error.ts';
import { type FleetApp, resolveApp } from './fleet-app.ts';
import { parseWith } from './schema-problems.ts';

export interface ReadFleetOptions {
  /** Absolute path of the file. */
  readonly path: string;
  /** Where variables that hold passphrases are looked up. */
  readonly env: NodeJS.ProcessEnv;
  /** Whether the credentials' files have to be there: the producer runs without them. */
  readonly credentials: boolean;
}

/** Reads the configuration file; gives the apps, or everything that is wrong with it. */
export async function readFleetFile(
  options: ReadFleetOptions,
): Promise<{ readonly apps?: readonly FleetApp[]; readonly problems: readonly ConfigProblem[] }> {
  const { path } = options;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const message = `${path} cannot be read: ${(error as Error).message}`;
    return { problems: [{ field: 'PUSHFLEET_CONFIG', message }] };
  }
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    return { problems: document.errors.map(({ message }) => ({ field: path, message: message.trim() })) };
  }
  const raw: unknown = document.toJS();
  const parsed = parseWith(fileSchema, raw);
  if (parsed.value === undefined) return { problems: parsed.problems };
  const entries = Object.entries(parsed.value.apps);
  if (entries.length === 0) return { problems: [{ field: 'apps', message: 'must name at least one app' }] };

  const absolute = (relative: string) => resolve(dirname(path), relative);
  const apps = entries.map(([id, config]) => resolveApp(id, config, absolute));
  const problems = entries.flatMap(([id, config]) => combinationProblems(id, config, writtenFields(raw, id)));
  for (const app of apps) problems.push(...(await fileProblems(app, options)));
  return problems.length > 0 ? { problems } : { apps, problems };
}

/** What each field allows and their combination does not. */
function combinationProblems(id: string, app: AppConfig, written: ReadonlySet<string>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (field: string, message: string) => problems.push({ field: `apps.${id}.${field}`, message });
  if (app.transport === 'binary') {
    if ('p8' in app.credential) {
      add(
        'credential.p8',
        'is for http2 only: the binary protocol needs a certificate (p12, or cert and key)',
      );
    }
    if (written.has('proxy')) add('proxy', 'is for the http2 transport only');
    if (app.commandVersion === 0 && app.confirm === 'proved') {
      add(
        'confirm',
        'proved needs commandVersion 1 or 2: command 0 has no answers that could prove anything',
      );
    }
    return problems;
  }
  for (const field of ['commandVersion', 'feedback', 'shutdownIdentifier', 'confirm'] as const) {
    if (written.has(field)) add(field, 'is for the binary transport only');
  }
  return problems;
}

function writtenFields(raw: unknown, id: string): ReadonlySet<string> {
  const app = (raw as { apps: Record<string, object> }).apps[id];
  return new Set(Object.keys(app ?? {}));
}

async function fileProblems(app: FleetApp, options: ReadFleetOptions): Promise<ConfigProblem[]> {
  const { credential } = app;
  const files: [field: string, path: string | undefined][] = [['gateway.ca', app.gateway.ca]];
  const problems: ConfigProblem[] = [];
  if (options.credentials) {
    files.push(['proxy.credentialFile', app.proxy?.credentialFile]);
    for (const name of ['p12', 'cert', 'key', 'p8', 'passphraseFile'] as const) {
      files.push([`credential.${name}`, (credential as Partial<Record<typeof name, string>>)[name]]);
    }
    const variable = 'passphraseEnv' in credential ? credential.passphraseEnv : undefined;
    if (variable !== undefined && options.env[variable] === undefined) {
      const message = `names the variable ${variable}, which is not set`;
      problems.push({ field: `apps.${app.id}.credential.passphraseEnv`, message });
    }
  }
  for (const [field, path] of files) {
    const message = path === undefined ? undefined : await unreadable(path);
    if (message !== undefined) problems.push({ field: `apps.${app.id}.${field}`, message });
  }
  return problems;
}

async function unreadable(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.R_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `names a file that does not exist: ${path}`;
    return `names a file that cannot be read (${code}): ${path}`;
  }
}
