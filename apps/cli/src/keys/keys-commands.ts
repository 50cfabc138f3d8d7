import { resolve } from 'node:path';
import { readFleetFile } from '@pushfleet/service-kit';
import { type ApiKey, type ApiKeyScope, apiKeyScopes, pageOf } from '@pushfleet/token-store';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { entryOf } from '../audit/audit-origin.ts';
import { CliError } from '../cli-error.ts';
import { unknownApp } from '../fleet/find-app.ts';
import { parseDuration } from '../parse-duration.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { withStore } from '../with-store.ts';

const keysHelp = `
Reads DATABASE_URL (or DATABASE_URL_FILE). Producers ask for keys when PUSHFLEET_AUTH is "keys"; what is created,
rotated or revoked here they know within seconds. The audit log has it.`;

/** `pushfleet keys create`, `list`, `rotate`, `revoke`: who may use the HTTP API. */
export function addKeysCommands(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('create, list, rotate and revoke keys of the HTTP API');
  addCreate(keys, terminal);
  addList(keys, terminal);
  addRotate(keys, terminal);
  addRevoke(keys, terminal);
}

interface CreateOptions {
  readonly app?: readonly string[];
  readonly scope: readonly ApiKeyScope[];
  readonly rate?: number;
  readonly expires?: number;
}

function addCreate(keys: Command, terminal: Terminal): void {
  keys
    .command('create')
    .description('create a key, and print it, which is shown only now')
    .argument('<name>', 'for people, such as the service that will use it', parseName)
    .addOption(
      new Option('--scope <scope...>', 'what it is good for; admin is everything')
        .choices(apiKeyScopes)
        .makeOptionMandatory(),
    )
    .option('--app <app...>', 'only these apps (default: all)')
    .option('--rate <number>', 'requests a second at each producer', parseRate)
    .option('--expires <duration>', 'of no use after this time, such as 90d (default: never)', parseDuration)
    .addHelpText(
      'after',
      `${keysHelp}
Only a hash is kept: the key cannot be shown again.

Example:
  pushfleet keys create order-service --scope send read --app shop-prod --rate 200 --expires 90d`,
    )
    .action(async (name: string, { app, scope, rate, expires }: CreateOptions) => {
      for (const id of app ?? []) await checkAppIsNamed(id, terminal.env);
      await withStore(terminal, async ({ change }) => {
        const { key, text } = await change(async ({ apiKeys }) => {
          const value = await apiKeys.create({
            name,
            apps: app ?? null,
            scopes: scope,
            ratePerSecond: rate,
            expiresAt: afterNow(expires),
          });
          const states = { before: null, after: auditedOf(value.key) };
          const made = { action: 'key.create', app: null, target: value.key.id, ...states } as const;
          return { value, entry: entryOf(terminal.env, made) };
        });
        show(terminal, key, text);
      });
    });
}

/** A key for an app of the wrong name is good for nothing. Where there is no configuration file, any name will do. */
async function checkAppIsNamed(id: string, env: NodeJS.ProcessEnv): Promise<void> {
  const path = resolve(env.PUSHFLEET_CONFIG || 'pushfleet.yaml');
  const { apps } = await readFleetFile({ path });
  if (apps !== undefined && !apps.some((app) => app.id === id)) throw unknownApp(id, path, apps);
}

interface RotateOptions {
  readonly overlap: number;
  readonly expires?: number;
}

function addRotate(keys: Command, terminal: Terminal): void {
  keys
    .command('rotate')
    .description('give a key a new secret, and print it, which is shown only now')
    .argument('<key>', 'its name or its id')
    .option('--overlap <duration>', 'how long the secret it has stays good', parseDuration, 86_400_000)
    .option('--expires <duration>', 'of no use after this time (default: as it was)', parseDuration)
    .addHelpText(
      'after',
      `${keysHelp}
Name, id, scopes, apps and rate stay. The secret that it has is good for a day more, unless --overlap says otherwise
(0s: not at all); one from a rotation before that no more.

Example:
  pushfleet keys rotate order-service --overlap 2h --expires 90d`,
    )
    .action(async (idOrName: string, { overlap, expires }: RotateOptions) => {
      await withStore(terminal, async ({ change }) => {
        const changed = await change(async ({ apiKeys }) => {
          const before = await apiKeys.find(idOrName);
          const previousUntil = new Date(Date.now() + overlap);
          const options = { previousUntil, expiresAt: afterNow(expires) };
          const value = before === undefined ? undefined : await apiKeys.rotate(before.id, options);
          if (before === undefined || value === undefined) return { value: undefined, entry: undefined };
          const states = { before: auditedOf(before), after: auditedOf(value.key) };
          const rotated = { action: 'key.rotate', app: null, target: before.id, ...states } as const;
          return { value, entry: entryOf(terminal.env, rotated) };
        });
        if (changed === undefined) throw unknownKey(idOrName);
        show(terminal, changed.key, changed.text);
      });
    });
}

interface ListOptions {
  readonly after?: string;
  readonly limit: number;
}

function addList(keys: Command, terminal: Terminal): void {
  keys
    .command('list')
    .description('show the keys, the newest first')
    .option('--after <id>', 'only what comes after this key: "next" of the page before')
    .option('--limit <n>', 'keys at most, up to 1000', parseLimit, 100)
    .addHelpText('after', keysHelp)
    .action(async ({ after, limit }: ListOptions) => {
      await withStore(terminal, async ({ apiKeys }) => {
        const found = await apiKeys.list({ after, limit: limit + 1 });
        const { rows, last } = pageOf(found, limit);
        const all = rows.map(describe);
        const next = last?.id ?? null;
        terminal.print({ keys: all, next }, () =>
          [showKeys(all), ...(next === null ? [] : [`more: --after ${next}`])].join('\n'),
        );
      });
    });
}

function addRevoke(keys: Command, terminal: Terminal): void {
  keys
    .command('revoke')
    .description('revoke a key')
    .argument('<key>', 'its name or its id')
    .addHelpText('after', `${keysHelp}\nIts name can be used again.`)
    .action(async (idOrName: string) => {
      await withStore(terminal, async ({ change }) => {
        const isRevoked = await change(async ({ apiKeys }) => {
          const key = await apiKeys.find(idOrName);
          if (key === undefined || !(await apiKeys.revoke(key.id))) return { value: false, entry: undefined };
          const states = { before: auditedOf(key), after: null };
          const revoked = { action: 'key.revoke', app: null, target: key.id, ...states } as const;
          return { value: true, entry: entryOf(terminal.env, revoked) };
        });
        if (!isRevoked) throw unknownKey(idOrName);
        terminal.print({ revoked: idOrName }, () => `${idOrName} is revoked`);
      });
    });
}

function show(terminal: Terminal, key: ApiKey, text: string): void {
  terminal.note('The key, which is shown only now:');
  terminal.print({ key: text, ...describe(key) }, () => text);
}

type Description = ReturnType<typeof describe>;

function describe(key: ApiKey) {
  const { id, name, apps, scopes, ratePerSecond, createdAt } = key;
  return {
    ...{ id, name, apps, scopes, ratePerSecond },
    createdAt: createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    rotatedAt: key.rotatedAt?.toISOString() ?? null,
    previousUntil: key.previousUntil?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
  };
}

/** What the audit log keeps of a key. */
function auditedOf(key: ApiKey) {
  const { name, apps, scopes, ratePerSecond, expiresAt, previousUntil } = describe(key);
  return { name, apps, scopes, ratePerSecond, expiresAt, previousUntil };
}

function showKeys(keys: readonly Description[]): string {
  return table(
    ['name', 'id', 'scopes', 'apps', 'rate', 'created', 'last used', ''],
    keys.map((key) => [
      key.name,
      key.id,
      key.scopes.join(' '),
      key.apps === null ? 'all' : key.apps.join(' '),
      key.ratePerSecond === null ? '' : String(key.ratePerSecond),
      key.createdAt.slice(0, 10),
      key.lastUsedAt === null ? 'never' : `${key.lastUsedAt.slice(0, 16)}Z`,
      standingOf(key),
    ]),
  );
}

function standingOf({ expiresAt, previousUntil, revokedAt }: Description): string {
  const now = new Date().toISOString();
  if (revokedAt !== null) return `revoked ${revokedAt.slice(0, 10)}`;
  if (expiresAt !== null && expiresAt <= now) return `expired ${expiresAt.slice(0, 10)}`;
  return [
    ...(expiresAt === null ? [] : [`expires ${expiresAt.slice(0, 10)}`]),
    ...(previousUntil === null || previousUntil <= now ? [] : [`two secrets until ${previousUntil}`]),
  ].join(', ');
}

function unknownKey(idOrName: string): CliError {
  return new CliError('key-unknown', `No key of the name or id ${idOrName} is in force`);
}

function afterNow(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(Date.now() + ms);
}

function parseName(text: string): string {
  if (/^[^\p{C}]{1,100}$/u.test(text)) return text;
  throw new InvalidArgumentError('It must be 1 to 100 characters that can be printed.');
}

function parseRate(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of requests a second.');
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1_000) return limit;
  throw new InvalidArgumentError('It must be 1 to 1000.');
}
