import { parseArgs } from 'node:util';

export interface DemoArguments {
  /** Devices that are registered and reached by the batch. */
  readonly notifications: number;
  /** Print one JSON object as the last line of standard output, and progress to standard error only. */
  readonly json: boolean;
  /** Leave everything running afterwards, until a signal. */
  readonly keep: boolean;
}

export const demoUsage = `usage: npm run demo -- [--notifications N] [--json] [--keep]
  --notifications N  devices to register and to reach by broadcast, 1000 to 5000000; 10000 by default
  --json             the sums as one JSON object on standard output, everything else on standard error
  --keep             leave everything running afterwards, until Ctrl-C`;

/** Parses the demo's command line, `undefined` when it asks for help; throws an Error that names the flag. */
export function parseDemoArguments(argv: readonly string[]): DemoArguments | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      notifications: { type: 'string', default: '10000' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const notifications = /^\d{1,9}$/.test(values.notifications) ? Number(values.notifications) : Number.NaN;
  if (Number.isNaN(notifications) || notifications < 1_000 || notifications > 5_000_000) {
    throw new Error(
      `--notifications: must be a whole number from 1000 to 5000000, not ${JSON.stringify(values.notifications)}`,
    );
  }
  return { notifications, json: values.json, keep: values.keep };
}
