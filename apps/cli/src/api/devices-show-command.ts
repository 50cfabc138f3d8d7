import type { Device, DevicePage, PushfleetClient } from '@pushfleet/client';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import type { Terminal } from '../terminal.ts';
import { apiHelp, openClient } from './open-client.ts';

interface ShowOptions {
  readonly app: string;
  readonly user?: string;
}

/** `pushfleet devices show` */
export function addShowCommand(devices: Command, terminal: Terminal): void {
  devices
    .command('show')
    .description('show a device, or all devices of a user')
    .argument('[token]')
    .requiredOption('--app <id>')
    .option('--user <id>', 'instead of a token')
    .addHelpText('after', apiHelp)
    .action(async (token: string | undefined, { app, user }: ShowOptions) => {
      if ((token === undefined) === (user === undefined)) {
        throw new CliError('usage', 'name a device token or --user, and not both');
      }
      const client = await openClient(terminal);
      if (token !== undefined) {
        const device = await client.device(app, token);
        terminal.print(device, () => showDevice(device));
        return;
      }
      const found = await devicesOfUser(client, app, user!);
      terminal.print({ devices: found }, () =>
        found.length === 0 ? `${app} has no device of ${user}` : found.map(showDevice).join('\n\n'),
      );
    });
}

async function devicesOfUser(client: PushfleetClient, app: string, userId: string): Promise<Device[]> {
  const found: Device[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const query = { app, userId, ...(after === undefined ? {} : { after }) };
    const page: DevicePage = await client.call('GET /v1/devices', { query });
    found.push(...page.devices);
    after = page.next;
  }
  return found;
}

function showDevice(device: Device): string {
  const { app, token, active, deactivation, userId, tags, locale, timeZone, registeredAt } = device;
  const why =
    deactivation === null
      ? []
      : [
          `deactivated ${deactivation.at} by ${deactivation.source}${deactivation.status === null ? '' : ` (${deactivation.status})`}`,
        ];
  return [
    `device ${token} of ${app}`,
    active ? 'active' : 'inactive',
    ...why,
    `user ${userId ?? 'unknown'}`,
    `tags ${tags.length === 0 ? 'none' : tags.join(', ')}`,
    ...(locale === null ? [] : [`locale ${locale}`]),
    ...(timeZone === null ? [] : [`time zone ${timeZone}`]),
    `registered ${registeredAt}`,
  ].join('\n');
}
