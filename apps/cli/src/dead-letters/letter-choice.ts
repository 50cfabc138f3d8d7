import { type Lane, lanes } from '@pushfleet/push-queue';
import type { DeadLetterFilter } from '@pushfleet/push-queue/status';
import { durationSchema } from '@pushfleet/service-kit';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';

/** What `replay` and `discard` may be told of which letters are meant. */
export interface ChoiceOptions {
  readonly app?: string;
  readonly all?: boolean;
  readonly reason?: string;
  readonly lane?: Lane;
  /** Epoch milliseconds. */
  readonly since?: number;
  /** Epoch milliseconds. */
  readonly until?: number;
  readonly dryRun?: boolean;
}

/** One letter, or all that a filter means. */
export type LetterChoice =
  | { readonly app: string; readonly id: string }
  | { readonly app: string; readonly filter: DeadLetterFilter };

export function addChoiceOptions(command: Command): Command {
  return command
    .argument('[app]', 'or --app')
    .argument('[id]', 'as `list` shows it')
    .option('--app <app>', 'the app, where no argument names it')
    .option('--all', 'every letter of the app')
    .option('--reason <reason>', 'notifications that died for this reason, as `list` shows it')
    .addOption(new Option('--lane <lane>', 'letters of this lane').choices(lanes))
    .option('--since <time>', 'letters since this time: 2h ago is `2h`; or ISO 8601', parseTime)
    .option('--until <time>', 'letters until this time', parseTime)
    .option('--dry-run', 'tell how many are meant, and change nothing');
}

/** @throws CliError `usage` */
export function choiceOf(
  first: string | undefined,
  second: string | undefined,
  options: ChoiceOptions,
): LetterChoice {
  const app = options.app ?? first;
  const id = options.app === undefined ? second : first;
  const isTwice = options.app !== undefined && second !== undefined;
  if (app === undefined || isTwice) throw new CliError('usage', 'name one app, as an argument or with --app');
  const { reason, lane, since: sinceMs, until: untilMs } = options;
  const isFiltered = [reason, lane, sinceMs, untilMs].some((value) => value !== undefined);
  const ways = [id !== undefined, isFiltered || options.all === true];
  if (ways[0] === ways[1]) {
    throw new CliError('usage', 'name a letter, or give --all, --reason, --lane, --since or --until');
  }
  return id !== undefined ? { app, id } : { app, filter: { reason, lane, sinceMs, untilMs } };
}

/** @throws InvalidArgumentError, which commander tells with the option's name */
function parseTime(text: string): number {
  const ago = durationSchema.safeParse(text);
  if (ago.success) return Date.now() - ago.data;
  const atMs = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  throw new InvalidArgumentError('It must be a duration such as 2h, or a time such as 2030-01-31T12:00:00Z.');
}
