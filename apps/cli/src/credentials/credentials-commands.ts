import { type Command, Option } from 'commander';
import { ExitCode, type Terminal } from '../terminal.ts';
import { addCheckCommand } from './check-command.ts';
import { addConvertCommand } from './convert-command.ts';
import { addCredentialOptions, type CredentialOptions, fileHelp, locateFile } from './credential-options.ts';
import { inspectCredential } from './inspection.ts';
import { showInspection } from './show-inspection.ts';

/** `pushfleet credentials …`: everything about certificates and keys, before and while they serve an app. */
export function addCredentialsCommands(program: Command, terminal: Terminal): void {
  const credentials = program
    .command('credentials')
    .description('inspect, convert and check push certificates and provider keys');
  addInspectCommand(credentials, terminal);
  addConvertCommand(credentials, terminal);
  addCheckCommand(credentials, terminal);
}

interface InspectOptions extends CredentialOptions {
  readonly topic?: string;
  readonly environment?: 'production' | 'sandbox';
}

function addInspectCommand(credentials: Command, terminal: Terminal): void {
  const command = credentials
    .command('inspect')
    .description('show what a certificate or key is, what it is good for, and until when')
    .argument('<file>', fileHelp)
    .option('--topic <bundle id>', 'also say whether it fits an app with this topic')
    .addOption(
      new Option('--environment <name>', 'and in this environment').choices(['production', 'sandbox']),
    );
  addCredentialOptions(command)
    .addHelpText(
      'after',
      `
Shows nothing secret. Exit code 1: it expired, is no push certificate, or does not fit the app asked about.

Examples:
  pushfleet credentials inspect aps.cer
  pushfleet credentials inspect shop.p12 --passphrase-file shop.passphrase
  pushfleet credentials inspect aps.pem --key key.pem --topic com.example.shop --environment production
  pushfleet credentials inspect AuthKey_ABCDE12345.p8 --team-id TEAM123456`,
    )
    .action(async (file: string, options: InspectOptions) => {
      const inspection = await inspectCredential(await locateFile(file, options), terminal.env, options);
      terminal.print(inspection, () => showInspection(inspection, options));
      if (inspection.problems.length > 0) terminal.exitCode = ExitCode.failed;
    });
}
