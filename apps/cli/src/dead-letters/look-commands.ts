import { listDeadLetters, readDeadLetter, type StoredLetter } from '@pushfleet/push-queue/status';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { chosenApps, type Fleet, fleetHelp, withFleet } from '../fleet/fleet.ts';
import { parseCount } from '../parse-count.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function addListCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('list')
    .description('list the letters of an app, the newest first')
    .argument('<app>')
    .option('--limit <n>', 'so many', parseCount, 20)
    .option('--offset <n>', 'pass over so many', parseCount, 0)
    .addHelpText('after', `${fleetHelp}\n\nExample:\n  pushfleet dead-letters list shop-prod --limit 100`)
    .action(async (app: string, page: { readonly limit: number; readonly offset: number }) => {
      await withFleet(terminal, async (fleet) => {
        chosenApps(fleet, app);
        const found = await listDeadLetters(fleet.control, app, page);
        const summaries = found.letters.map(summarize);
        terminal.print({ app, total: found.total, letters: summaries }, () =>
          summaries.length === 0
            ? `${app} has no dead letters${found.total > 0 ? ' so far down' : ''}`
            : [
                table(
                  ['id', 'at', 'notifications', 'why'],
                  summaries.map(({ id, at, notifications, why }) => [
                    id,
                    at,
                    notifications ?? 'unreadable',
                    why,
                  ]),
                ),
                `${page.offset + 1} to ${page.offset + summaries.length} of ${found.total}`,
              ].join('\n'),
        );
      });
    });
}

export function addShowCommand(letters: Command, terminal: Terminal): void {
  letters
    .command('show')
    .description('show a letter: each notification and why it is dead, or the data that could not be read')
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
        const stored = await requireLetter(fleet, app, id);
        terminal.print({ app, ...stored }, () => showLetter(stored));
      });
    });
}

/** @throws CliError `letter-unknown` */
export async function requireLetter(fleet: Fleet, app: string, id: string): Promise<StoredLetter> {
  const stored = await readDeadLetter(fleet.control, app, id);
  if (stored !== undefined) return stored;
  throw new CliError('letter-unknown', `${app} has no dead letter ${id}: pushfleet dead-letters list ${app}`);
}

interface LetterSummary {
  readonly id: string;
  readonly at: string;
  readonly kind: StoredLetter['name'];
  /** Null: the data cannot be read. */
  readonly notifications: number | null;
  readonly why: string;
}

function summarize(stored: StoredLetter): LetterSummary {
  const at = new Date(stored.letter.atMs).toISOString();
  if (stored.name === 'poisoned') {
    return { id: stored.id, at, kind: 'poisoned', notifications: null, why: stored.letter.error };
  }
  const { reasons, job } = stored.letter;
  const counts = Map.groupBy(Object.values(reasons), (reason) => reason);
  const why = [...counts].map(([reason, all]) => `${reason} ×${all.length}`).join(', ');
  return { id: stored.id, at, kind: 'dead', notifications: job.count, why };
}

function showLetter(stored: StoredLetter): string {
  const { at, why } = summarize(stored);
  if (stored.name === 'poisoned') {
    return [`poisoned   ${at}`, `why        ${why}`, `data       ${stored.letter.raw}`].join('\n');
  }
  const { job, reasons } = stored.letter;
  return [
    `dead       ${at}`,
    `batch      ${job.batch} (${job.batchSize} notifications, lane ${job.lane})`,
    `enqueued   ${new Date(job.enqueuedAtMs).toISOString()}`,
    '',
    table(
      ['index', 'why'],
      Object.entries(reasons).map(([index, reason]) => [Number(index), reason]),
    ),
  ].join('\n');
}
