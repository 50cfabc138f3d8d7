import { setTimeout as delay } from 'node:timers/promises';
import type { Batch, PushfleetClient } from '@pushfleet/client';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { addContentOptions, type ContentOptions, contentFields } from './content-options.ts';
import { apiHelp, openClient } from './open-client.ts';

interface SendCommandOptions extends ContentOptions {
  readonly app: string;
  readonly token?: readonly string[];
  readonly user?: readonly string[];
  readonly lane?: 'transactional' | 'bulk';
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
}

/** Between two looks at what has become of it, milliseconds. */
const lookIntervalMs = 500;

export function addSendCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('send')
    .description('send a notification to devices or users')
    .requiredOption('--app <id>')
    .option('--token <token...>', 'device tokens')
    .option('--user <id...>', 'users: to all of their devices');
  addContentOptions(command)
    .addOption(new Option('--lane <lane>', 'transactional by default').choices(['transactional', 'bulk']))
    .option('--idempotency-key <key>', 'the same call with the same key sends once')
    .option('--wait', 'until the gateway has decided; exit code 1 when not all were accepted')
    .addHelpText(
      'after',
      `${apiHelp}

Examples:
  pushfleet send --app shop-prod --token a1b2… --alert "Your parcel is on its way"
  pushfleet send --app shop-prod --user user-1 --title Shop --alert "Sale" --wait
  pushfleet send --app shop-prod --token a1b2… --payload '{"aps":{"content-available":1}}' --priority 5`,
    )
    .action(async (options: SendCommandOptions) => {
      const { app, lane, token: tokens = [], user: users = [], idempotencyKey, wait = false } = options;
      const targets = [...tokens.map((token) => ({ token })), ...users.map((userId) => ({ userId }))];
      if (targets.length === 0) throw new CliError('usage', 'say to whom: --token or --user');
      const client = await openClient(terminal);
      const answer = await client.send(
        {
          app,
          ...(lane === undefined ? {} : { lane }),
          defaults: contentFields(options),
          notifications: targets,
        },
        idempotencyKey === undefined ? {} : { idempotencyKey },
      );
      const batch = wait ? await settled(client, answer.batchId) : undefined;
      terminal.print({ ...answer, ...(batch === undefined ? {} : { batch }) }, () =>
        [
          `batch ${answer.batchId}, ${answer.notificationIds.length} notifications`,
          ...(answer.replayed === true ? ['sent already, by an earlier call with this key'] : []),
          ...(batch === undefined ? [] : [showBatch(batch)]),
        ].join('\n'),
      );
      if (batch !== undefined && batch.accepted < batch.size) terminal.exitCode = ExitCode.failed;
    });
}

async function settled(client: PushfleetClient, batchId: string): Promise<Batch> {
  for (;;) {
    const batch = await client.batch(batchId);
    if (batch.state === 'finished') return batch;
    await delay(lookIntervalMs);
  }
}

function showBatch({ accepted, certainty, rejected, expired, cancelled, dead }: Batch): string {
  const others = Object.entries({ rejected, expired, cancelled, dead }).filter(([, count]) => count > 0);
  return [
    `${accepted} accepted (${certainty.proved} proved, ${certainty.presumed} presumed)`,
    ...others.map(([outcome, count]) => `${count} ${outcome}`),
  ].join(', ');
}
