import { createPushQueue, type PushQueue } from '@pushfleet/push-queue';
import {
  discardDeadLetter,
  discardDeadLetters,
  replayDeadLetter,
  replayDeadLetters,
} from '@pushfleet/push-queue/status';
import type { Command } from 'commander';
import { recordInRedis } from '../audit/audit-origin.ts';
import { CliError } from '../cli-error.ts';
import { chosenApps, type Fleet, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { parseCount } from '../parse-count.ts';
import { counted } from '../table.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { countLetter, countLetters, type MatchingLetters } from './count-letters.ts';
import { addChoiceOptions, type ChoiceOptions, choiceOf, type LetterChoice } from './letter-choice.ts';

interface ReplayCommandOptions extends ChoiceOptions {
  readonly ttl?: number;
  readonly rate?: number;
}

/** Letters that are told one by one, at most. */
const shownLetters = 50;

export function addReplayCommand(letters: Command, terminal: Terminal): void {
  addChoiceOptions(letters.command('replay'))
    .description('send notifications of letters again, as new batches, and remove them from the letters')
    .option('--rate <n>', 'notifications per second; by default as fast as Redis takes them', parseCount)
    .option('--ttl <seconds>', 'how long APNs may store those whose own time has passed', parseCount)
    .addHelpText(
      'after',
      `${fleetHelp}
Of a letter that holds other reasons too, those stay. Interrupted and asked for again, it goes on with what is left and
sends nothing twice.

Examples:
  pushfleet dead-letters replay shop-prod 0193f…-1
  pushfleet dead-letters replay shop-prod --reason uncertain --since 2h --rate 500
  pushfleet dead-letters replay shop-prod --all --ttl 3600 --dry-run`,
    )
    .action(async (app: string | undefined, id: string | undefined, options: ReplayCommandOptions) => {
      const choice = choiceOf(app, id, options);
      if (options.rate === 0) throw new CliError('usage', '--rate must be at least 1');
      await withFleet(terminal, async (fleet) => {
        const meant = await countChosen(fleet, choice);
        if (options.dryRun === true) {
          showDryRun(terminal, choice, meant);
          return;
        }
        const queue = createPushQueue({
          redis: fleet.config.redisUrl,
          prefix: fleet.config.redisPrefix,
          apps: Object.fromEntries(fleet.config.apps.map((each) => [each.id, each])),
        });
        try {
          await recordInRedis(
            fleet,
            terminal.env,
            changeOf('dead-letters.replay', choice, meant),
            async () => ({
              value: undefined,
              after: await replay(fleet, terminal, queue, choice, meant, options),
            }),
          );
        } finally {
          await queue.close();
        }
      });
    });
}

export function addDiscardCommand(letters: Command, terminal: Terminal): void {
  addChoiceOptions(letters.command('discard'))
    .description('remove notifications from letters; their outcome stays dead')
    .addHelpText(
      'after',
      `${fleetHelp}

Examples:
  pushfleet dead-letters discard shop-prod 0193f…-1
  pushfleet dead-letters discard shop-prod --reason poisoned --until 7d`,
    )
    .action(async (app: string | undefined, id: string | undefined, options: ChoiceOptions) => {
      const choice = choiceOf(app, id, options);
      await withFleet(terminal, async (fleet) => {
        const meant = await countChosen(fleet, choice);
        if (options.dryRun === true) showDryRun(terminal, choice, meant);
        else
          await recordInRedis(
            fleet,
            terminal.env,
            changeOf('dead-letters.discard', choice, meant),
            async () => ({
              value: undefined,
              after: await discard(fleet, terminal, choice),
            }),
          );
      });
    });
}

function changeOf(
  action: 'dead-letters.replay' | 'dead-letters.discard',
  choice: LetterChoice,
  { letters, notifications }: MatchingLetters,
) {
  const { app } = choice;
  const filter = 'filter' in choice ? choice.filter : null;
  return {
    action,
    app,
    target: 'id' in choice ? choice.id : null,
    before: { filter, letters, notifications },
  };
}

/** @throws CliError `app-unknown`, `letter-unknown` */
async function countChosen(fleet: Fleet, choice: LetterChoice): Promise<MatchingLetters> {
  const { app } = choice;
  chosenApps(fleet, app);
  if ('filter' in choice) return countLetters(fleet.control, app, choice.filter);
  const meant = await countLetter(fleet.control, app, choice.id);
  if (meant !== undefined) return meant;
  throw new CliError(
    'letter-unknown',
    `${app} has no dead letter ${choice.id}: pushfleet dead-letters list ${app}`,
  );
}

function showDryRun(terminal: Terminal, { app }: LetterChoice, meant: MatchingLetters): void {
  const { letters, notifications, unreadable } = meant;
  terminal.print({ app, dryRun: true, letters, notifications, unreadable }, () =>
    [
      `letters        ${letters}`,
      `notifications  ${notifications}`,
      `unreadable     ${unreadable.length}`,
      'nothing was changed',
    ].join('\n'),
  );
}

async function replay(
  { control }: Fleet,
  terminal: Terminal,
  queue: PushQueue,
  choice: LetterChoice,
  meant: MatchingLetters,
  { rate, ttl }: ReplayCommandOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { app } = choice;
  const replayed: { letter: string; batchId: string; notifications: number }[] = [];
  const refused: { letter: string; error: string }[] = [];
  let notifications = 0;
  const some =
    'filter' in choice
      ? replayDeadLetters(control, queue, app, choice.filter, { rate, ttl })
      : asList(await replayDeadLetter(control, queue, app, choice.id, { ttl }));
  for await (const one of some) {
    if ('error' in one) {
      refused.push(one);
      continue;
    }
    notifications += one.notifications;
    replayed.push({ letter: one.letter, batchId: one.batchId, notifications: one.notifications });
    terminal.statusLine(
      `${notifications.toLocaleString('en')} of ${counted(meant.notifications, 'notification')} replayed`,
    );
  }
  if (notifications > 0) terminal.statusLineEnded();
  const { unreadable } = meant;
  if (refused.length > 0) terminal.exitCode = ExitCode.failed;
  terminal.print({ app, notifications, replayed, refused, unreadable }, () =>
    [
      ...firstLines(replayed.map((one) => `${one.letter} → batch ${one.batchId}, ${one.notifications}`)),
      ...firstLines(refused.map(({ letter, error }) => `${letter} stays: ${error}`)),
      ...firstLines(unreadable.map((letter) => `${letter} cannot be read, and stays`)),
      `${replayed.length} replayed`,
    ].join('\n'),
  );
  return { notifications, letters: replayed.length, refused: refused.length };
}

async function discard(
  { control }: Fleet,
  terminal: Terminal,
  choice: LetterChoice,
): Promise<Readonly<Record<string, unknown>>> {
  const { app } = choice;
  const discarded: string[] = [];
  const parts: string[] = [];
  if ('id' in choice) {
    if (await discardDeadLetter(control, app, choice.id)) discarded.push(choice.id);
  } else {
    for await (const { id, isPart } of discardDeadLetters(control, app, choice.filter)) {
      (isPart ? parts : discarded).push(id);
      terminal.statusLine(counted(discarded.length + parts.length, 'letter'));
    }
    if (discarded.length + parts.length > 0) terminal.statusLineEnded();
  }
  terminal.print({ app, discarded, parts }, () =>
    [
      `${discarded.length} discarded`,
      ...(parts.length === 0 ? [] : [`${parts.length} keep notifications of other reasons`]),
    ].join('\n'),
  );
  return { letters: discarded.length, parts: parts.length };
}

function asList<T>(one: T | undefined): T[] {
  return one === undefined ? [] : [one];
}

function firstLines(lines: readonly string[]): string[] {
  if (lines.length <= shownLetters) return [...lines];
  return [...lines.slice(0, shownLetters), `… and ${lines.length - shownLetters} more`];
}
