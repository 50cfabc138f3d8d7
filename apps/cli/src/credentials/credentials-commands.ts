import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addCheckCommand } from './check-command.ts';
import { addConvertCommand } from './convert-command.ts';
import { addInspectCommand } from './inspect-command.ts';

/** `pushfleet credentials …`: everything about certificates and keys, before and while they serve an app. */
export function addCredentialsCommands(program: Command, terminal: Terminal): void {
  const credentials = program
    .command('credentials')
    .description('inspect, convert and check push certificates and provider keys');
  addInspectCommand(credentials, terminal);
  addConvertCommand(credentials, terminal);
  addCheckCommand(credentials, terminal);
}
