import {
  type LetterPage,
  type ListedLetter,
  letterCursorPattern,
  listDeadLetters,
  maxPageLetters,
  readDeadLetter,
  type StoredLetter,
} from '@pushfleet/push-queue/status';
import { type Command, InvalidArgumentError } from 'commander';
import { CliError } from '../cli-error.ts';
import { chosenApps, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { parseCount } from '../parse-count.ts';
import { counted, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

interface ListOptions {
  readonly limit: number;
  readonly after?: string;
}

export function addListCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('list')
    .description('list the letters of an app, newest first, and the number of notifications by reason')
    .argument('<app>')
    .option('--limit <n>', `so many, at most ${maxPageLetters}`, parseCount, 20)
    .option('--after <cursor>', 'go on where a list ended', parseCursor)
    .addHelpText('after', `${fleetHelp}\n\nExample:\n  pushfleet dead-letters list shop-prod --limit 100`)
    .action(async (app: string, { limit, after }: ListOptions) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        const page = await listDeadLetters(fleet.control, app, { limit: Math.max(1, limit), cursor: after });
        const { letters: listed, next, ...sums } = page;
        const shown = listed.map(summarize);
        terminal.print({ app, ...sums, letters: shown, next: next ?? null }, () =>
          showPage(app, page, shown),
        );
      });
    });
}

export function addShowCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('show')
    .description(
      'show a letter: its notifications, each with its reason, or the data that no worker could read',
    )
    .argument('<app>')
    .argument('<id>', 'as `list` shows it')
    .addHelpText(
      'after',
      `${fleetHelp}
Shows indexes and reasons, not tokens and payloads; with --json, the letter as it lies in Redis, with both.

Example:
  pushfleet dead-letters show shop-prod 0193f…-1`,
    )
    .action(async (app: string, id: string) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        const found = await readDeadLetter(fleet.control, app, id);
        if (found === undefined) {
          throw new CliError(
            'letter-unknown',
            `${app} has no dead letter ${id}: pushfleet dead-letters list ${app}`,
          );
        }
        const { stored } = found;
        terminal.print({ app, ...stored }, () => showLetter(stored));
      });
    });
}

interface LetterSummary {
  readonly id: string;
  readonly at: string;
  readonly kind: StoredLetter['name'];
  readonly bytes: number;
  /** Null: the data cannot be read. */
  readonly notifications: number | null;
  readonly why: string;
}

function summarize(letter: ListedLetter): LetterSummary {
  const { id, bytes, kind, atMs } = letter;
  const head = { id, at: new Date(atMs).toISOString(), kind, bytes };
  if (letter.kind === 'poisoned') return { ...head, notifications: null, why: letter.error };
  const { reasons, others, count } = letter;
  const why = [
    ...Object.entries(reasons).map(([reason, many]) => `${reason} ×${many}`),
    ...(others === undefined ? [] : [`others ×${others}`]),
  ];
  return { ...head, notifications: count, why: why.join(', ') };
}

function showPage(
  app: string,
  { total, bytes, reasons, trimmed, next }: LetterPage,
  letters: readonly LetterSummary[],
): string {
  const gone = trimmed.age + trimmed.bytes;
  const trims =
    gone === 0
      ? []
      : [
          `trimmed so far: ${trimmed.age} for their age, ${trimmed.bytes} for room (${counted(trimmed.notifications, 'notification')})`,
        ];
  if (letters.length === 0) {
    return [`${app} has no dead letters${total > 0 ? ' so far down' : ''}`, ...trims].join('\n');
  }
  return [
    table(
      ['id', 'at', 'notifications', 'why'],
      letters.map(({ id, at, notifications, why }) => [id, at, notifications ?? 'unreadable', why]),
    ),
    '',
    table(
      ['notifications', 'why'],
      Object.entries(reasons).map(([reason, many]) => [many, reason]),
    ),
    '',
    `${letters.length.toLocaleString('en')} of ${counted(total, 'letter')}, ${(bytes / 1024 ** 2).toFixed(1)} MiB in all`,
    ...trims,
    ...(next === undefined ? [] : [`more: --after ${next}`]),
  ].join('\n');
}

function showLetter(stored: StoredLetter): string {
  const at = new Date(stored.letter.atMs).toISOString();
  if (stored.name === 'poisoned') {
    const { error, raw } = stored.letter;
    return [`poisoned   ${at}`, `why        ${error}`, `data       ${raw}`].join('\n');
  }
  const { job, reasons, deaths = {} } = stored.letter;
  return [
    `dead       ${at}`,
    `batch      ${job.batch} (${counted(job.batchSize, 'notification')}, lane ${job.lane})`,
    `enqueued   ${new Date(job.enqueuedAtMs).toISOString()}`,
    '',
    table(
      ['index', 'at', 'status', 'why'],
      Object.entries(reasons).map(([index, reason]) => {
        const death = deaths[index];
        const diedAt = death === undefined ? '' : new Date(death.atMs).toISOString();
        return [Number(index), diedAt, death?.status?.toString() ?? '', reason];
      }),
    ),
  ].join('\n');
}

/** @throws InvalidArgumentError, which commander tells with the option's name */
function parseCursor(text: string): string {
  if (letterCursorPattern.test(text)) return text;
  throw new InvalidArgumentError('It must be what the list before said.');
}
