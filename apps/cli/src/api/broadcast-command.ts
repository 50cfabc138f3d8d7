import { openAsBlob } from 'node:fs';
import type { Audience, Broadcast, PushfleetClient } from '@pushfleet/client';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { parseCount } from '../parse-count.ts';
import { counted } from '../table.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { addContentOptions, type ContentOptions, contentFields } from './content-options.ts';
import { apiHelp, openClient } from './open-client.ts';
import { progressBar } from './progress-bar.ts';
import { percent, showCounts } from './show-status.ts';

interface BroadcastOptions extends ContentOptions {
  readonly app: string;
  readonly all?: boolean;
  readonly tag?: readonly string[];
  readonly notTag?: readonly string[];
  readonly locale?: readonly string[];
  readonly users?: string;
  readonly spreadOver?: number;
  readonly idempotencyKey?: string;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
}

export function addBroadcastCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('broadcast')
    .description('send one notification to an audience in the device table')
    .requiredOption('--app <id>')
    .option('--all', 'every active device of the app')
    .option('--tag <tag...>', 'devices that have all of these tags')
    .option('--not-tag <tag...>', 'and none of these')
    .option('--locale <locale...>', 'devices of one of these locales')
    .option('--users <file>', 'devices of the users in this file, one id a line');
  addContentOptions(command)
    .option('--spread-over <seconds>', 'spread the fan-out over this time', parseCount)
    .option('--idempotency-key <key>', 'the same call with the same key sends once')
    .option('--dry-run', 'count the devices, and send nothing')
    .option(
      '--watch',
      'follow it until everything has an outcome; Ctrl-C stops the watching, not the broadcast',
    )
    .addHelpText(
      'after',
      `${apiHelp}

Examples:
  pushfleet broadcast --app shop-prod --tag vip --not-tag silent --alert "Sale" --dry-run
  pushfleet broadcast --app shop-prod --all --title Shop --alert "We are back" --watch`,
    )
    .action(async (options: BroadcastOptions) => {
      const { spreadOver, idempotencyKey } = options;
      const content = contentFields(options);
      const client = await openClient(terminal);
      const request = {
        app: options.app,
        audience: await audienceOf(client, options),
        ...content,
        ...(spreadOver === undefined ? {} : { spreadOver }),
      };
      if (options.dryRun === true) {
        const devices = await client.countAudience(request);
        terminal.print({ devices }, () => `${counted(devices, 'device')}; nothing was sent`);
        return;
      }
      const started = await client.broadcast(request, idempotencyKey === undefined ? {} : { idempotencyKey });
      if (options.watch !== true) {
        terminal.print(started, () => `broadcast ${started.broadcastId}`);
        return;
      }
      const ended = await watch(client, started, terminal);
      terminal.print(ended, () => `broadcast ${ended.broadcastId} ${ended.state}: ${counts(ended)}`);
      if (ended.state !== 'finished') terminal.exitCode = ExitCode.failed;
    });
}

async function audienceOf(client: PushfleetClient, options: BroadcastOptions): Promise<Audience> {
  const { all, tag: tags = [], notTag: notTags = [], locale: locales, users } = options;
  const terms = [...tags, ...notTags.map((tag) => ({ not: tag }))];
  const hasConditions = terms.length > 0 || locales !== undefined || users !== undefined;
  if (all === true) {
    if (hasConditions) throw new CliError('usage', '--all is everybody: leave it out, or the conditions');
    return { all };
  }
  if (!hasConditions) {
    throw new CliError('usage', 'say to whom: --all, --tag, --not-tag, --locale or --users');
  }
  const upload =
    users === undefined ? undefined : await client.uploadUsers(options.app, await openFile(users));
  return {
    ...(terms.length === 0 ? {} : { tags: { and: terms } }),
    ...(locales === undefined ? {} : { locales }),
    ...(upload === undefined ? {} : { upload: upload.uploadId }),
  };
}

async function openFile(path: string): Promise<Blob> {
  try {
    return await openAsBlob(path);
  } catch (cause) {
    throw new CliError('file-unreadable', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function watch(client: PushfleetClient, started: Broadcast, terminal: Terminal): Promise<Broadcast> {
  let last = started;
  for await (const now of client.followBroadcast(started.broadcastId)) {
    last = now;
    terminal.statusLine(`${progressBar(now.progress)}  ${fanOut(now)}${counts(now)}`);
  }
  terminal.statusLineEnded();
  return last;
}

/** What the bar does not say: it is of outcomes. */
function fanOut({ state, fanOutProgress }: Broadcast): string {
  if (state !== 'running' && state !== 'paused') return '';
  const rest = state === 'paused' ? ', paused' : '';
  return `fan-out ${percent(fanOutProgress)}${rest}, `;
}

function counts(broadcast: Broadcast): string {
  return `${counted(broadcast.enqueued, 'device')}, ${showCounts(broadcast)}`;
}
