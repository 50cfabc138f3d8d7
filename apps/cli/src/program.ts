import { CredentialError } from '@pushfleet/apns-credentials';
import { PushfleetError } from '@pushfleet/client';
import { PushQueueError } from '@pushfleet/push-queue';
import { readBuildInfo, ServiceError } from '@pushfleet/service-kit';
import { TokenStoreError } from '@pushfleet/token-store';
import { type Command, CommanderError } from 'commander';
import { addBroadcastCommand } from './api/broadcast-command.ts';
import { addDevicesCommands } from './api/devices-commands.ts';
import { addSendCommand } from './api/send-command.ts';
import { addStatusCommands } from './api/status-commands.ts';
import { addAppsCommands } from './apps/apps-commands.ts';
import { addQueuesCommand } from './apps/queues-command.ts';
import { addAuditCommand } from './audit/audit-command.ts';
import { addBackupCommands } from './backup/backup-commands.ts';
import { addCapacityCommand } from './capacity/capacity-command.ts';
import { addChannelsCommands } from './channels/channels-commands.ts';
import { CliError } from './cli-error.ts';
import { addCompletionCommand } from './completion/completion-command.ts';
import { addCredentialsCommands } from './credentials/credentials-commands.ts';
import { addDeadLettersCommands } from './dead-letters/dead-letters-commands.ts';
import { addDoctorCommand } from './doctor/doctor-command.ts';
import { addKeysCommands } from './keys/keys-commands.ts';
import { addMigrateCommand } from './migrate-command.ts';
import { OperatorCommand } from './operator-command.ts';
import { ExitCode, type ProgramEnvironment, Terminal } from './terminal.ts';
import { addUpgradeCommand } from './upgrade/upgrade-command.ts';
import { addWebhooksCommands } from './webhooks/webhooks-commands.ts';

/** Puts a group of commands into the program. One file per group; listed below. */
type AddCommands = (program: Command, terminal: Terminal) => void;

const commandGroups: readonly AddCommands[] = [
  addSendCommand,
  addBroadcastCommand,
  addStatusCommands,
  addDevicesCommands,
  addAppsCommands,
  addQueuesCommand,
  addDeadLettersCommands,
  addKeysCommands,
  addAuditCommand,
  addWebhooksCommands,
  addChannelsCommands,
  addCredentialsCommands,
  addDoctorCommand,
  addCapacityCommand,
  addUpgradeCommand,
  addMigrateCommand,
  addBackupCommands,
  addCompletionCommand,
];

/** Runs one command to its end. Returns the exit code; never rejects. */
export async function runProgram(
  args: readonly string[],
  environment: ProgramEnvironment,
): Promise<ExitCode> {
  const program = createProgram(environment);
  const terminal = new Terminal(environment, args.includes('--json'));
  for (const addCommands of commandGroups) addCommands(program, terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    report(error, terminal);
  }
  return terminal.exitCode;
}

function createProgram({ stdout, stderr }: ProgramEnvironment): Command {
  return new OperatorCommand('pushfleet')
    .description("The operator's commands of Pushfleet, which sends Apple push notifications.")
    .version(describeBuild(), '-V, --version', 'print the version')
    .option('--json', 'print the result as one line of JSON')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Try --help.')
    .addHelpText(
      'after',
      `
Exit codes:
  0  done, and what was looked at is in order
  1  it could not be done, or what was looked at is not in order; standard error, or with --json the field "error",
     says why
  2  called in a wrong way

Every command explains itself: pushfleet <command> --help`,
    );
}

function describeBuild(): string {
  const { version, commit, node } = readBuildInfo();
  return `${version} (commit ${commit}, Node.js ${node})`;
}

function report(error: unknown, terminal: Terminal): void {
  if (error instanceof CommanderError) {
    // It has told people everything itself, help included.
    if (error.exitCode === 0) return;
    if (terminal.isJson) terminal.fail({ code: 'usage', message: error.message }, ExitCode.usage);
    terminal.exitCode = ExitCode.usage;
    return;
  }
  if (error instanceof CliError) {
    terminal.fail(error, error.code === 'usage' ? ExitCode.usage : ExitCode.failed);
    return;
  }
  if (error instanceof PushfleetError) {
    // The message names the first of them itself.
    const fields = error.errors
      .map(({ field, message }) => `${field}: ${message}`)
      .filter((text) => !error.message.includes(text))
      .map((text) => `\n  ${text}`);
    terminal.fail({ code: error.code, message: error.message + fields.join('') }, ExitCode.failed);
    return;
  }
  if (
    error instanceof CredentialError ||
    error instanceof ServiceError ||
    error instanceof PushQueueError ||
    error instanceof TokenStoreError
  ) {
    terminal.fail(error, ExitCode.failed);
    return;
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.fail({ code: 'unexpected', message }, ExitCode.failed);
}
