import { createPushQueue, type PushQueue } from '@pushfleet/push-queue';
import {
  discardDeadLetter,
  listDeadLetters,
  replayDeadLetter,
  type StoredLetter,
} from '@pushfleet/push-queue/status';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { chosenApps, type Fleet, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { parseCount } from '../parse-count.ts';
import type { Terminal } from '../terminal.ts';
import { requireLetter } from './look-commands.ts';

/** Letters read in one go. */
const pageSize = 100;

interface SettleOptions {
  readonly all?: boolean;
  readonly ttl?: number;
}

export function addReplayCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('replay')
    .description('send the notifications of a letter again, as a new batch, and take the letter away')
    .argument('<app>')
    .argument('[id]', 'as `list` shows it')
    .option('--all', 'every letter of the app that can be read')
    .option('--ttl <seconds>', 'how long APNs may store those whose own time has passed', parseCount)
    .addHelpText(
      'after',
      `${fleetHelp}
Asked for again after an interruption, it sends nothing twice.

Examples:
  pushfleet dead-letters replay shop-prod 0193f…-1
  pushfleet dead-letters replay shop-prod --all --ttl 3600`,
    )
    .action(async (app: string, id: string | undefined, options: SettleOptions) => {
      await withFleet(terminal, async (fleet) => {
        const chosen = await chooseLetters(fleet, app, id, options);
        const queue = createPushQueue({
          redis: fleet.config.redisUrl,
          prefix: fleet.config.redisPrefix,
          apps: Object.fromEntries(fleet.config.apps.map((each) => [each.id, each])),
        });
        try {
          const replayed = await replayAll(fleet, queue, chosen, options);
          const unreadable = chosen.filter(({ name }) => name === 'poisoned').map((letter) => letter.id);
          terminal.print({ app, replayed, unreadable }, () =>
            [
              ...replayed.map(
                ({ letter, batchId, notifications }) => `${letter} → batch ${batchId}, ${notifications}`,
              ),
              ...unreadable.map((letter) => `${letter} cannot be read, and stays`),
              `${replayed.length} replayed`,
            ].join('\n'),
          );
        } finally {
          await queue.close();
        }
      });
    });
}

export function addDiscardCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('discard')
    .description('take a letter away; its notifications have ended as dead already')
    .argument('<app>')
    .argument('[id]', 'as `list` shows it')
    .option('--all', 'every letter of the app')
    .addHelpText('after', `${fleetHelp}\n\nExample:\n  pushfleet dead-letters discard shop-prod 0193f…-1`)
    .action(async (app: string, id: string | undefined, options: SettleOptions) => {
      await withFleet(terminal, async (fleet) => {
        const chosen = await chooseLetters(fleet, app, id, options);
        for (const letter of chosen) await discardDeadLetter(fleet.control, app, letter.id);
        const discarded = chosen.map((letter) => letter.id);
        terminal.print({ app, discarded }, () => `${discarded.length} discarded`);
      });
    });
}

/** The letter that is named, or all that are there now. */
async function chooseLetters(
  fleet: Fleet,
  app: string,
  id: string | undefined,
  { all = false }: SettleOptions,
): Promise<StoredLetter[]> {
  chosenApps(fleet, app);
  if ((id !== undefined) === all) throw new CliError('usage', 'name a letter, or give --all');
  if (id !== undefined) return [await requireLetter(fleet, app, id)];
  const letters: StoredLetter[] = [];
  for (let offset = 0; ; offset += pageSize) {
    const page = await listDeadLetters(fleet.control, app, { offset, limit: pageSize });
    letters.push(...page.letters);
    if (offset + pageSize >= page.total) return letters;
  }
}

async function replayAll(
  fleet: Fleet,
  queue: PushQueue,
  letters: readonly StoredLetter[],
  { ttl }: SettleOptions,
) {
  const replayed: { letter: string; batchId: string; notifications: number }[] = [];
  for (const stored of letters) {
    if (stored.name === 'poisoned') continue;
    const { batchId, notificationIds } = await replayDeadLetter(
      fleet.control,
      queue,
      stored,
      ttl === undefined ? {} : { ttl },
    );
    replayed.push({ letter: stored.id, batchId, notifications: notificationIds.length });
  }
  return replayed;
}
