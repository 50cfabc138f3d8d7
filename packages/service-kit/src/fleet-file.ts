import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type AppConfig, appIdSchema, appSchema } from './config.ts';
import type { ConfigProblem } from './config-error.ts';
import { defaultConnections, defaultWindows, type FleetApp, resolveApp } from './fleet-app.ts';
import { nearestName } from './nearest-name.ts';
import { readAuthorities } from './read-authorities.ts';
import { parseWith, unknownSetting } from './schema-problems.ts';
import { exampleOf, settingAdvice } from './settings/setting-advice.ts';

export interface ReadFleetOptions {
  /** Absolute path of the file. */
  readonly path: string;
}

/** The file without its apps, each of which is parsed by itself. */
const fileSchema = z.looseObject({ apps: z.record(z.string(), z.unknown()) });

export interface FleetFile {
  /** Undefined: there are problems. */
  readonly apps?: readonly FleetApp[];
  readonly problems: readonly ConfigProblem[];
  /** Names of variables that the file says hold passphrases, whatever else is wrong with it. */
  readonly variables: ReadonlySet<string>;
}

/** Reads the configuration file; gives the apps, or everything that is wrong with it. */
export async function readFleetFile(options: ReadFleetOptions): Promise<FleetFile> {
  const variables = new Set<string>();
  return { ...(await readApps(options, variables)), variables };
}

async function readApps(
  options: ReadFleetOptions,
  variables: Set<string>,
): Promise<Omit<FleetFile, 'variables'>> {
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
  const contents: unknown = document.toJS();
  const file = parseWith(fileSchema, contents);
  if (file.value === undefined) {
    const isMapping = typeof contents === 'object' && contents !== null && !Array.isArray(contents);
    const names = isMapping ? Object.keys(contents).filter((name) => name !== 'apps') : [];
    return { problems: [...file.problems, ...strayProblems(names)] };
  }
  const { apps: written, ...others } = file.value;
  const entries = Object.entries(written);
  if (entries.length === 0) return { problems: [{ field: 'apps', message: 'must name at least one app' }] };

  const apps: FleetApp[] = [];
  const problems = strayProblems(Object.keys(others));
  for (const [id, app] of entries) {
    const variable = textAt(app, 'credential.passphraseEnv');
    if (variable !== undefined) variables.add(variable);
    const entry = await readEntry(id, app, options);
    problems.push(...entry.problems);
    if (entry.app !== undefined) apps.push(entry.app);
  }
  return problems.length > 0 ? { problems } : { apps, problems };
}

/** One app. What is wrong with one of its fields, or with its name, does not keep the others from being looked at. */
async function readEntry(
  id: string,
  written: unknown,
  options: ReadFleetOptions,
): Promise<{ readonly app?: FleetApp; readonly problems: readonly ConfigProblem[] }> {
  const name = parseWith(appIdSchema, id, ['apps', id]);
  const parsed = parseWith(appSchema, written, ['apps', id]);
  const problems = [
    ...name.problems.map(({ field, message }) => ({ field, message: `as a name, ${message}` })),
    ...parsed.problems.map((problem) => withAdvice(id, written, problem)),
  ];
  const config = parsed.value;
  if (config !== undefined) {
    problems.push(...combinationProblems(id, config, new Set(Object.keys(written as object))));
  }
  problems.push(...fileProblems(id, written, options));
  const absolute = (relative: string) => resolve(dirname(options.path), relative);
  return config === undefined ? { problems } : { app: resolveApp(id, config, absolute), problems };
}

/** What is wrong with the file as a whole: what stands beside `apps`, or in its place. */
function strayProblems(names: readonly string[]): ConfigProblem[] {
  return names.map((field) => {
    const isApps = nearestName(field.toLowerCase(), ['apps']) !== undefined;
    return {
      field,
      message: `${unknownSetting}: ${isApps ? 'did you mean apps?' : 'settings stand below apps.NAME'}`,
    };
  });
}

/** Says which setting was meant, or shows a right value and the wrong one, unless that may be a secret. */
function withAdvice(id: string, written: unknown, { field, message }: ConfigProblem): ConfigProblem {
  const path = field.slice(`apps.${id}.`.length);
  if (message === unknownSetting) return { field, message: `${message}: ${settingAdvice(path)}` };
  if (message === 'is missing') {
    const example = exampleOf(path);
    return { field, message: example === undefined ? message : `${message}, such as ${example}` };
  }
  let value = written;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[name];
  const isShown =
    ['string', 'number', 'boolean'].includes(typeof value) && !/^credential\b|token$/.test(path);
  return { field, message: isShown && value !== '' ? `${message}, not ${JSON.stringify(value)}` : message };
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
    for (const field of ['proxy', 'streams', 'leastConnections'] as const) {
      if (written.has(field)) add(field, 'is for the http2 transport only');
    }
    if (app.canary !== undefined && app.canary.token.length !== 64) {
      add('canary.token', 'must have 64 hexadecimal digits: tokens of the binary protocol are 32 bytes long');
    }
    if (app.commandVersion === 0 && app.confirm === 'proved') {
      add(
        'confirm',
        'proved needs commandVersion 1 or 2: command 0 has no answers that could prove anything',
      );
    }
    return problems;
  }
  for (const field of [
    'commandVersion',
    'feedback',
    'shutdownIdentifier',
    'confirm',
    'connectsPerMinute',
  ] as const) {
    if (written.has(field)) add(field, 'is for the binary transport only');
  }
  const window = app.window ?? defaultWindows.http2;
  if (written.has('streams') && app.streams > window) {
    add('streams', `must be at most the window, ${window}: more would never be used`);
  }
  const connections = app.connections ?? defaultConnections.http2;
  if (app.leastConnections > connections) {
    add('leastConnections', `must be at most connections, ${connections}`);
  }
  return problems;
}

/**
 * The authorities of a gateway are part of the configuration. Credentials are not: a file that is missing, or cannot be
 * read, stops its app and no other, and is taken up once it is there.
 *
 * @param written The app as it stands in the file; its other fields may well be wrong.
 */
function fileProblems(id: string, written: unknown, options: ReadFleetOptions): ConfigProblem[] {
  const field = 'gateway.ca';
  const file = textAt(written, field);
  const message = file === undefined ? undefined : authoritiesProblem(resolve(dirname(options.path), file));
  return message === undefined ? [] : [{ field: `apps.${id}.${field}`, message }];
}

/** The text at a path of two names; an empty one is a problem of the schema's. */
function textAt(written: unknown, field: string): string | undefined {
  let value = written;
  for (const name of field.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function authoritiesProblem(path: string): string | undefined {
  try {
    readAuthorities(path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
