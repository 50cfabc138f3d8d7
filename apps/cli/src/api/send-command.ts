import { setTimeout as delay } from 'node:timers/promises';
import type { Batch, PushfleetClient } from '@pushfleet/client';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { parseCount } from '../parse-count.ts';
import { counted } from '../table.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { visibleLine } from '../visible-text.ts';
import { addContentOptions, type ContentOptions, contentFields } from './content-options.ts';
import { apiHelp, openClient } from './open-client.ts';
import { showCounts } from './show-status.ts';

interface SendCommandOptions extends ContentOptions {
  readonly app: string;
  readonly token?: readonly string[];
  readonly user?: readonly string[];
  readonly lane?: 'transactional' | 'bulk';
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly timeout: number;
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
    .option('--wait', 'until each has its outcome; exit code 1 when not all were accepted in time')
    .option('--timeout <seconds>', 'how long --wait waits', parseCount, 60)
    .addHelpText(
      'after',
      `${apiHelp}

Examples:
  pushfleet send --app shop-prod --token a1b2… --alert "Your parcel is on its way"
  pushfleet send --app shop-prod --user user-1 --title Shop --alert "Sale" --wait
  pushfleet send --app shop-prod --token a1b2… --payload '{"aps":{"content-available":1}}' --priority 5`,
    )
    .action(async (options: SendCommandOptions) => {
      const {
        app,
        lane,
        token: tokens = [],
        user: users = [],
        idempotencyKey,
        wait = false,
        timeout,
      } = options;
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
      const { batchId, notificationIds, replayed } = answer;
      terminal.progress(
        [
          `batch ${batchId}, ${counted(notificationIds.length, 'notification')}`,
          ...(replayed === true ? ['sent already, by an earlier call with this key'] : []),
        ].join('\n'),
      );
      if (!wait) {
        terminal.printJson(answer);
        return;
      }
      terminal.note(`waiting up to ${timeout} s until each is accepted or has another outcome`);
      const batch = await settled(client, batchId, timeout);
      const isSettled = batch?.state === 'finished';
      if (!isSettled) terminal.note(await sayWhatIsAwaited(client, app, batchId, timeout));
      terminal.printJson({ ...answer, ...(batch === undefined ? {} : { batch }) });
      if (batch !== undefined) terminal.progress(showOutcomes(batch));
      if (!isSettled || batch.accepted < batch.size) terminal.exitCode = ExitCode.failed;
    });
}

/** What is known of a batch when all of it has an outcome, or the time is over; undefined: nothing was answered. */
async function settled(
  client: PushfleetClient,
  batchId: string,
  timeoutSeconds: number,
): Promise<Batch | undefined> {
  const signal = AbortSignal.timeout(timeoutSeconds * 1_000);
  let batch: Batch | undefined;
  while (!signal.aborted) {
    try {
      batch = await client.batch(batchId, { signal });
      if (batch.state === 'finished') return batch;
      await delay(lookIntervalMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return batch;
}

/** Also why, where the app is paused. */
async function sayWhatIsAwaited(
  client: PushfleetClient,
  app: string,
  batchId: string,
  timeoutSeconds: number,
): Promise<string> {
  // A key that may send need not be one that may look at apps.
  const known = await client.call('GET /v1/apps/{app}', { path: { app } }).catch(() => undefined);
  return [
    `not all have an outcome after ${timeoutSeconds} s; they go on without you: pushfleet status ${batchId}`,
    ...(known?.pauses ?? []).map(
      ({ cause, reason }) => `${app} is paused (${cause}): ${visibleLine(reason)}`,
    ),
    ...(known?.workers === 0 ? [`no worker serves ${app}`] : []),
  ].join('\n');
}

function showOutcomes(batch: Batch): string {
  const { proved, presumed } = batch.certainty;
  const ofThem = batch.accepted === 0 ? '' : ` (${proved} proved, ${presumed} presumed)`;
  return `${showCounts(batch)}${ofThem}`;
}
