import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addListCommand, addShowCommand } from './look-commands.ts';
import { addDiscardCommand, addReplayCommand } from './settle-commands.ts';

/** `pushfleet dead-letters …`: what no worker tries any more. */
export function addDeadLettersCommands(program: Command, terminal: Terminal): void {
  const letters = program
    .command('dead-letters')
    .description('list notifications that used up their attempts, send them again, or discard them');
  addListCommand(letters, terminal);
  addShowCommand(letters, terminal);
  addReplayCommand(letters, terminal);
  addDiscardCommand(letters, terminal);
}
