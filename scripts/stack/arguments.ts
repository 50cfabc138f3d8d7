import { parseArgs } from 'node:util';

export interface StackArguments {
  /** Sent as batches, half of them by each of the two transports. */
  readonly notifications: number;
  /** Print one JSON object as the last line of standard output. */
  readonly json: boolean;
  /** Leave the stack running. */
  readonly keep: boolean;
}

export const usage = `usage: npm run stack -- [flags]

Brings docker-compose.yml up with the simulator and the monitoring, under a project name and ports of its own; sends
through it, scales the workers to three, kills one in mid-stream, and checks that everything is accounted for: by the
API, by the simulator's ledger, and by metrics alone.

  --notifications N   sent as batches, beside single sends; default 200000
  --keep              leave the stack running
  --json              one JSON object as the last line of standard output
  --help`;

/** @throws Error that names the flag */
export function parseStackArguments(args: readonly string[]): StackArguments | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      notifications: { type: 'string', default: '200000' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const notifications = Number(values.notifications);
  if (!Number.isInteger(notifications) || notifications < 10_000 || notifications > 10_000_000) {
    throw new Error(
      `--notifications must be a whole number from 10000 to 10000000, not ${values.notifications}`,
    );
  }
  return { notifications, json: values.json, keep: values.keep };
}
