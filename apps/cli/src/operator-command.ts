import { Command, type Option } from 'commander';

/**
 * A command that tells of a misspelt option before it misses the one that was meant: `--ap shop` gets "Did you mean
 * --app?".
 */
export class OperatorCommand extends Command {
  #unknown: readonly string[] = [];

  override createCommand(name?: string): OperatorCommand {
    return new OperatorCommand(name);
  }

  override parseOptions(args: string[]): { operands: string[]; unknown: string[] } {
    const parsed = super.parseOptions(args);
    this.#unknown = parsed.unknown;
    return parsed;
  }

  /** Called by Command, and not among its types. */
  missingMandatoryOptionValue(option: Option): void {
    const library = Command.prototype as unknown as Library;
    const misspelt = this.#unknown.find((text) => text.startsWith('-'));
    if (misspelt === undefined) library.missingMandatoryOptionValue.call(this, option);
    else library.unknownOption.call(this, misspelt);
  }
}

interface Library {
  missingMandatoryOptionValue(option: Option): void;
  unknownOption(flag: string): void;
}
