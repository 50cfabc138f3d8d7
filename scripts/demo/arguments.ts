import { parseArgs } from 'node:util';

export interface DemoArguments {
  /** Devices that are registered and reached by the batch. */
  readonly notifications: number;
  /** Print one JSON object as the last line of standard output, and progress to standard error only. */
  readonly json: boolean;
  /** Leave everything running afterwards, until a signal. */
  readonly keep: boolean;
}

/** Parses the demo's command line; throws an Error that names the flag. */
export function parseDemoArguments(argv: readonly string[]): DemoArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      notifications: { type: 'string', default: '10000' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
    },
  });
  const notifications = Number(values.notifications);
  if (!Number.isInteger(notifications) || notifications < 1_000 || notifications > 5_000_000) {
    throw new Error(
      `--notifications: must be a whole number from 1000 to 5000000, not ${values.notifications}`,
    );
  }
  return { notifications, json: values.json, keep: values.keep };
}
