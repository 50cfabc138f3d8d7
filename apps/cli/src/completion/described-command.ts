import type { Command } from 'commander';

/** A command as shells complete it. */
export interface DescribedCommand {
  /** Names from the program's own on, such as `credentials inspect`; empty for the program itself. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly string[];
}

/** The program and all commands below it. */
export function describeCommands(program: Command): DescribedCommand[] {
  // The version is the program's alone.
  const everywhere = [...optionsOf(program).filter((option) => option !== '--version'), '--help'];
  const describe = (command: Command, path: string): DescribedCommand[] => [
    {
      path,
      subcommands: command.commands.map((child) => ({
        name: child.name(),
        description: child.description(),
      })),
      options: [...new Set([...optionsOf(command), ...everywhere])],
    },
    ...command.commands.flatMap((child) => describe(child, `${path} ${child.name()}`.trim())),
  ];
  return describe(program, '');
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
}
