import type { Device } from '@pushfleet/client';
import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { apiHelp, openClient } from './open-client.ts';

/** `pushfleet devices show` */
export function addShowCommand(devices: Command, terminal: Terminal): void {
  devices
    .command('show')
    .description('what is known of a device')
    .argument('<token>')
    .requiredOption('--app <id>')
    .addHelpText('after', apiHelp)
    .action(async (token: string, { app }: { readonly app: string }) => {
      const client = await openClient(terminal);
      const device = await client.device(app, token);
      terminal.print(device, () => showDevice(device));
    });
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
