import type { Broadcast, BroadcastException, Exception, PushfleetClient } from '@pushfleet/client';
import { parseNotificationId } from '@pushfleet/push-queue';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { parseCount } from '../parse-count.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { visibleLine } from '../visible-text.ts';
import { apiHelp, openClient } from './open-client.ts';
import { percent, showBatch, showBroadcast, showNotification } from './show-status.ts';

/** `pushfleet status`, `exceptions`, `cancel` and `broadcasts`. */
export function addStatusCommands(program: Command, terminal: Terminal): void {
  program
    .command('status')
    .description('show the outcome of a notification, a batch or a broadcast')
    .argument('<id>', 'as the send answered it')
    .addHelpText('after', apiHelp)
    .action(async (text: string) => {
      const { kind, id } = parseId(text);
      const client = await openClient(terminal);
      if (kind === 'notification') {
        const notification = await client.notification(id);
        terminal.print(notification, () => showNotification(notification));
      } else if (kind === 'batch') {
        const batch = await client.batch(id);
        terminal.print(batch, () => showBatch(batch));
      } else {
        const broadcast = await client.call('GET /v1/broadcasts/{id}', { path: { id } });
        terminal.print(broadcast, () => showBroadcast(broadcast));
      }
    });

  program
    .command('exceptions')
    .description('list the notifications that were not accepted, of a batch, a broadcast, a device or a user')
    .argument('[id]', 'as the send answered it')
    .option('--app <id>', 'with --token or --user')
    .option('--token <token>', 'in place of an id: all that was sent to this device')
    .option('--user <id>', 'in place of an id: all that was sent to the devices of this user')
    .option('--csv', 'print them as CSV')
    .addHelpText(
      'after',
      `${apiHelp}

Examples:
  pushfleet exceptions 0193f3a8-7c1e-7a30-9d51-3f0c00000000
  pushfleet exceptions 7b0e4c52-7d0a-4d3e-8f55-1c9b7a6f2e10 --csv > refused.csv
  pushfleet exceptions --app shop-prod --user anna`,
    )
    .action(async (text: string | undefined, options: ExceptionOptions) => {
      const of = chosenExceptions(text, options);
      if (options.csv === true && terminal.isJson) {
        throw new CliError('usage', '--csv and --json contradict each other');
      }
      const client = await openClient(terminal);
      if (options.csv === true) {
        await printCsv(client, of, terminal);
        return;
      }
      const exceptions: (Exception | BroadcastException)[] = [];
      const pages =
        'app' in of
          ? client.exceptionsOf(of.app, of.owner)
          : of.kind === 'broadcast'
            ? client.broadcastExceptions(of.id)
            : client.exceptions(of.id);
      for await (const exception of pages) exceptions.push(exception);
      terminal.print({ exceptions }, () =>
        exceptions.length === 0 ? 'no exceptions so far' : showExceptions(exceptions),
      );
    });

  program
    .command('cancel')
    .description('cancel a notification, a batch or a broadcast, as far as it has not been sent')
    .argument('<id>', 'as the send answered it')
    .addHelpText('after', apiHelp)
    .action(async (text: string) => {
      const { kind, id } = parseId(text);
      const client = await openClient(terminal);
      if (kind === 'broadcast') {
        const broadcast = await client.call('DELETE /v1/broadcasts/{id}', { path: { id } });
        terminal.print(broadcast, () => showBroadcast(broadcast));
        return;
      }
      const name = kind === 'batch' ? 'DELETE /v1/batches/{id}' : 'DELETE /v1/notifications/{id}';
      const cancellation = await client.call(name, { path: { id } });
      const { queued, cancelRequestedAt, alreadyRequested } = cancellation;
      terminal.print(cancellation, () =>
        alreadyRequested === true
          ? `cancellation was requested already, at ${cancelRequestedAt}; ${queued.toLocaleString('en')} queued`
          : `cancellation requested; ${queued.toLocaleString('en')} queued, which workers end as cancelled`,
      );
    });

  program
    .command('broadcasts')
    .description('the broadcasts of an app, the newest first')
    .requiredOption('--app <id>')
    .option('--limit <n>', 'how many, at most 100', parseCount, 20)
    .option('--after <id>', 'go on where a list ended: with those that are older than this broadcast')
    .addOption(new Option('--before <id>', 'as --after').hideHelp())
    .addHelpText('after', apiHelp)
    .action(
      async ({
        app,
        limit,
        before,
        after = before,
      }: {
        readonly app: string;
        readonly limit: number;
        readonly before?: string;
        readonly after?: string;
      }) => {
        const client = await openClient(terminal);
        const answer = await client.call('GET /v1/broadcasts', {
          query: { app, limit, ...(after === undefined ? {} : { after }) },
        });
        terminal.print(answer, () =>
          answer.broadcasts.length === 0
            ? `${app} has no ${after === undefined ? 'broadcasts' : 'older broadcasts'}`
            : showBroadcasts(answer.broadcasts, answer.next),
        );
      },
    );
}

interface ExceptionOptions {
  readonly csv?: true;
  readonly app?: string;
  readonly token?: string;
  readonly user?: string;
}

/** Whose exceptions are meant. */
type ExceptionsOf =
  | KnownId
  | { readonly app: string; readonly owner: { readonly token: string } | { readonly userId: string } };

/** @throws CliError `usage` */
function chosenExceptions(text: string | undefined, { app, token, user }: ExceptionOptions): ExceptionsOf {
  const named = [text, token, user].filter((one) => one !== undefined);
  if (named.length !== 1) throw new CliError('usage', 'name an id, --token or --user, and one of them alone');
  if (text !== undefined) return parseId(text);
  if (app === undefined) throw new CliError('usage', '--token and --user need --app');
  return { app, owner: token === undefined ? { userId: user! } : { token } };
}

/** As it comes: a broadcast may have more of them than fit into memory. */
async function printCsv(client: PushfleetClient, of: ExceptionsOf, terminal: Terminal): Promise<void> {
  const format = 'csv' as const;
  const answer =
    'app' in of
      ? await client.open('GET /v1/exceptions', {
          query: { app: of.app, ...of.owner, format },
          timeoutMs: 0,
        })
      : await client.open(
          of.kind === 'broadcast' ? 'GET /v1/broadcasts/{id}/exceptions' : 'GET /v1/batches/{id}/exceptions',
          { path: { id: of.id }, query: { format }, timeoutMs: 0 },
        );
  const text = answer.body!.pipeThrough(new TextDecoderStream());
  for await (const part of text) terminal.printPart(part);
}

function showExceptions(exceptions: readonly Exception[]): string {
  return table(
    ['notification', 'device token', 'outcome', 'reason', 'at'],
    exceptions.map(({ notificationId, token, outcome, reason, gatewayStatus, at }) => [
      notificationId,
      token,
      outcome,
      gatewayStatus === undefined ? reason : `${reason} (${gatewayStatus})`,
      at,
    ]),
  );
}

function showBroadcasts(broadcasts: readonly Broadcast[], next: string | null): string {
  const rows = table(
    ['broadcast', 'created', 'state', 'done', 'enqueued', 'queued', 'accepted', 'not accepted', 'says'],
    broadcasts.map(({ broadcastId, createdAt, state, progress, enqueued, queued, accepted, says = '' }) => [
      ...[broadcastId, createdAt, state, percent(progress), enqueued, queued, accepted],
      enqueued - queued - accepted,
      visibleLine(says.length > 40 ? `${says.slice(0, 39)}…` : says),
    ]),
  );
  return next === null ? rows : `${rows}\nmore: --after ${next}`;
}

/** What an id names. A single send's batch id is its notification's. */
interface KnownId {
  readonly kind: 'notification' | 'batch' | 'broadcast';
  readonly id: string;
}

/** @throws CliError `usage` */
function parseId(text: string): KnownId {
  const id = text.toLowerCase();
  const parsed = parseNotificationId(id);
  if (parsed !== undefined) return { kind: parsed.index === 0 ? 'batch' : 'notification', id };
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return { kind: 'broadcast', id };
  throw new CliError('usage', `${text} is no id of a notification, a batch or a broadcast`);
}
