import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { parseCount } from '../parse-count.ts';

/** What a push says, as options. */
export interface ContentOptions {
  readonly alert?: string;
  readonly title?: string;
  readonly badge?: number;
  readonly sound?: string;
  readonly payload?: Readonly<Record<string, unknown>>;
  readonly ttl?: number;
  readonly priority?: '10' | '5' | '1';
  readonly collapseId?: string;
}

/** The fields of a request that the options stand for. */
export type ContentFields = Omit<ContentOptions, 'title' | 'alert' | 'priority'> & {
  readonly priority?: 10 | 5 | 1;
  readonly alert?: string | { readonly title: string; readonly body?: string };
};

export function addContentOptions(command: Command): Command {
  return command
    .option('--alert <text>', 'what people read')
    .option('--title <text>', 'above it')
    .option('--badge <n>', 'number on the icon; 0 removes it', parseCount)
    .option('--sound <name>', 'such as default')
    .option('--payload <json>', "the whole payload in Apple's names, instead", parseObject)
    .option('--ttl <seconds>', 'how long APNs may store it; 0: try once', parseCount)
    .addOption(
      new Option('--priority <n>', '10 at once, 5 as the battery allows, 1 least').choices(['10', '5', '1']),
    )
    .option('--collapse-id <id>', 'later ones of the same id replace it on the device (HTTP/2 only)');
}

/** @throws CliError `usage` when nothing would be said */
export function contentFields(options: ContentOptions): ContentFields {
  const { alert, title, badge, sound, payload, ttl, priority, collapseId } = options;
  if (alert === undefined && title === undefined && badge === undefined && payload === undefined) {
    throw new CliError('usage', 'say something: --alert, --title, --badge or --payload');
  }
  const text = title === undefined ? alert : { title, ...(alert === undefined ? {} : { body: alert }) };
  const importance = priority === undefined ? undefined : Number(priority);
  const given = { alert: text, badge, sound, payload, ttl, priority: importance, collapseId };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as ContentFields;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError('It must be a JSON object.');
}
