import { type AuditAction, type AuditEntry, auditActions, pageOf } from '@pushfleet/token-store';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../parse-duration.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { withStore } from '../with-store.ts';

interface AuditOptions {
  readonly app?: string;
  readonly actor?: string;
  readonly action?: AuditAction;
  readonly target?: string;
  readonly since?: number;
  readonly before?: string;
  readonly after?: string;
  readonly limit: number;
}

/** `pushfleet audit`: who changed what. */
export function addAuditCommand(program: Command, terminal: Terminal): void {
  program
    .command('audit')
    .description('show who changed what, the newest first')
    .option('--app <app>', 'only of this app')
    .option('--actor <actor>', 'only by this: id or name of a key, or user@host')
    .addOption(new Option('--action <action>', 'only this').choices(auditActions))
    .option('--target <id>', 'only of what has this id')
    .option('--since <duration>', 'only of the last hours or days, such as 12h', parseDuration)
    .option('--after <id>', 'go on where a list ended: with what is older than this entry', parseEntryId)
    .addOption(new Option('--before <id>', 'as --after').argParser(parseEntryId).hideHelp())
    .option('--limit <n>', 'entries at most, up to 500', parseLimit, 50)
    .addHelpText(
      'after',
      `
Reads DATABASE_URL (or DATABASE_URL_FILE). What is changed in Redis (pauses, cancellations, dead letters) is there once a
producer has taken it to Postgres, seconds later. "begun" means that it is not known whether it was done.

Examples:
  pushfleet audit --since 24h
  pushfleet audit --app shop-prod --action app.pause --json`,
    )
    .action(async ({ app, since, limit, before, after = before, ...query }: AuditOptions) => {
      await withStore(terminal, async ({ auditLog }) => {
        const found = await auditLog.list({
          ...query,
          before: after,
          apps: app === undefined ? undefined : [app],
          since: since === undefined ? undefined : new Date(Date.now() - since),
          limit: limit + 1,
        });
        const { rows: entries, last } = pageOf(found, limit);
        const next = last?.id ?? null;
        terminal.print({ entries, next }, () =>
          [showEntries(entries), ...(next === null ? [] : [`more: --after ${next}`])].join('\n'),
        );
      });
    });
}

function showEntries(entries: readonly AuditEntry[]): string {
  return table(
    ['at', 'who', 'from', 'did', 'app', 'to', 'result', ''],
    entries.map(({ at, actor, address, action, app, target, result, before, after }) => [
      at.toISOString(),
      actor.name ?? actor.id ?? actor.kind,
      address ?? '',
      action,
      app ?? '',
      target ?? '',
      result,
      [before, after].map((fields) => (fields === null ? '' : JSON.stringify(fields))).join(' → '),
    ]),
  );
}

function parseEntryId(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text;
  throw new InvalidArgumentError('It must be the id of an entry.');
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 500) return limit;
  throw new InvalidArgumentError('It must be 1 to 500.');
}
