import type { MessageStorage } from '@pushfleet/apns-client';
import type { Effect } from '@pushfleet/push-queue';
import { ConfigError, readEnvironment } from '@pushfleet/service-kit';
import type { AuditChange } from '@pushfleet/token-store';
import { type Command, Option } from 'commander';
import { recordInRedis } from '../audit/audit-origin.ts';
import { configHelp } from '../fleet/find-app.ts';
import { openRedis } from '../fleet/open-redis.ts';
import type { Terminal } from '../terminal.ts';
import { type ChannelsOptions, withChannels } from './with-channels.ts';

const channelsHelp = `
A channel carries updates of a Live Activity to every device that has subscribed to it (iOS 18 and later, HTTP/2 only).
Calls go to APNs with the credential of the app. An app with a provider key (.p8) shares its token with the fleet: then
REDIS_URL (or REDIS_URL_FILE) is read, too; where it is set, what is made and deleted is in the audit log. Sending to a channel is in docs/live-activities.md.`;

/** `pushfleet channels list`, `create`, `read`, `delete`: broadcast channels of an app, kept by APNs. */
export function addChannelsCommands(program: Command, terminal: Terminal): void {
  const channels = program
    .command('channels')
    .description("list, create, read and delete an app's broadcast channels for Live Activities");
  addList(channels, terminal);
  addCreate(channels, terminal);
  addRead(channels, terminal);
  addDelete(channels, terminal);
}

function addList(channels: Command, terminal: Terminal): void {
  addAppOptions(channels.command('list'))
    .description('show the ids of all channels of an app')
    .addHelpText('after', `${channelsHelp}\n\nExample:\n  pushfleet channels list --app shop-prod`)
    .action(async (options: ChannelsOptions) => {
      const ids = await withChannels(options, terminal.env, async (client) => client.list());
      terminal.print({ app: options.app, channels: ids }, () =>
        ids.length === 0 ? `${options.app} has no channels` : ids.join('\n'),
      );
    });
}

function addCreate(channels: Command, terminal: Terminal): void {
  addAppOptions(channels.command('create'))
    .description('create a channel, and print its id')
    .addOption(
      new Option(
        '--storage <what>',
        'what APNs keeps for devices that are offline: nothing, or the latest message',
      )
        .choices(['none', 'latest'] satisfies MessageStorage[])
        .makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      `${channelsHelp}

It cannot be changed later what a channel keeps. An app may have 10,000 channels in each environment.

Example:
  pushfleet channels create --app shop-prod --storage latest`,
    )
    .action(async ({ storage, ...options }: ChannelsOptions & { readonly storage: MessageStorage }) => {
      const change = { action: 'channel.create', app: options.app, target: null } as const;
      const id = await withChannels(options, terminal.env, async (client) =>
        recordChannel(terminal, change, async () => {
          const value = await client.create(storage);
          return { value, after: { channel: value, storage } };
        }),
      );
      terminal.print({ app: options.app, channel: id, storage }, () => id);
    });
}

function addRead(channels: Command, terminal: Terminal): void {
  addAppOptions(channels.command('read'))
    .description('show what APNs keeps for a channel')
    .argument('<channel>', 'its id')
    .addHelpText(
      'after',
      `${channelsHelp}\n\nExample:\n  pushfleet channels read --app shop-prod dHN0LXNyY2gtY2hubA==`,
    )
    .action(async (channel: string, options: ChannelsOptions) => {
      const { storage } = await withChannels(options, terminal.env, async (client) => client.read(channel));
      terminal.print({ app: options.app, channel, storage }, () =>
        storage === 'latest'
          ? 'keeps the latest message for devices that are offline'
          : 'keeps nothing: devices that are offline miss what is sent',
      );
    });
}

function addDelete(channels: Command, terminal: Terminal): void {
  addAppOptions(channels.command('delete'))
    .description('delete a channel, with all its subscriptions')
    .argument('<channel>', 'its id')
    .addHelpText(
      'after',
      `${channelsHelp}\n\nExample:\n  pushfleet channels delete --app shop-prod dHN0LXNyY2gtY2hubA==`,
    )
    .action(async (channel: string, options: ChannelsOptions) => {
      const change = { action: 'channel.delete', app: options.app, target: channel } as const;
      await withChannels(options, terminal.env, async (client) =>
        recordChannel(terminal, change, async () => {
          await client.delete(channel);
          return { value: undefined, after: {} };
        }),
      );
      terminal.print({ app: options.app, deleted: channel }, () => `${channel} is deleted`);
    });
}

function addAppOptions(command: Command): Command {
  return command
    .requiredOption('--app <id>', 'an app of the configuration file')
    .option('--config <file>', configHelp);
}

/**
 * Makes a change at APNs that is in the audit log of the fleet, where REDIS_URL names one.
 * @throws ConfigError, CliError `redis-unavailable`, PushQueueError, and what the effect throws
 */
async function recordChannel<T>(
  terminal: Terminal,
  change: Omit<AuditChange, 'before' | 'after'>,
  effect: () => Promise<Effect<T>>,
): Promise<T> {
  const { env } = terminal;
  if (env.REDIS_URL === undefined && env.REDIS_URL_FILE === undefined) {
    terminal.note('REDIS_URL is not set: this is in no audit log');
    return (await effect()).value;
  }
  const { config, problems } = await readEnvironment(env, { service: 'worker' });
  if (config === undefined) throw new ConfigError(problems);
  const redis = await openRedis(config.redisUrl);
  try {
    const control = { redis, prefix: config.redisPrefix };
    return await recordInRedis({ control }, env, { ...change, before: null }, effect);
  } finally {
    redis.disconnect();
  }
}
