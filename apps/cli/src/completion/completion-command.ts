import { Argument, type Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completion-scripts.ts';
import { describeCommands } from './described-command.ts';

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

export function addCompletionCommand(program: Command, terminal: Terminal): void {
  program
    .command('completion')
    .description('print a script that lets a shell complete commands and options')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Examples:
  source <(pushfleet completion bash)                 # in ~/.bashrc
  source <(pushfleet completion zsh)                  # in ~/.zshrc, after compinit
  pushfleet completion fish | source                  # in ~/.config/fish/config.fish`,
    )
    .action((shell: keyof typeof scripts) => {
      const script = scripts[shell](describeCommands(program));
      terminal.print({ shell, script }, () => script);
    });
}
