import { readBuildInfo, readEnvironment } from '@pushfleet/service-kit';
import { readMigrationState } from '@pushfleet/token-store';
import type { Command } from 'commander';
import { backUp } from '../backup/back-up.ts';
import { describeBackup } from '../backup/backup-commands.ts';
import { CliError } from '../cli-error.ts';
import {
  grantOption,
  type MigrateOptions,
  migrateAndGrant,
  passwordOption,
  readDatabaseUrl,
} from '../migrate-command.ts';
import { counted } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { type RunningService, readServices } from './service-versions.ts';

interface UpgradeOptions extends MigrateOptions {
  readonly dryRun?: true;
  /** False: none is wanted. */
  readonly backup?: string | false;
}

/** `pushfleet upgrade`: from the version that runs to the version of this program, as far as data are concerned. */
export function addUpgradeCommand(program: Command, terminal: Terminal): void {
  program
    .command('upgrade')
    .description(
      'bring the data of a running fleet to this version: check, back up, migrate, say what is left',
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--backup <folder>', 'back up into this new folder before anything is migrated')
    .option('--no-backup', 'migrate without a backup')
    .addOption(grantOption())
    .addOption(passwordOption('producer'))
    .addOption(passwordOption('sweeper'))
    .addHelpText(
      'after',
      `
Reads REDIS_URL and DATABASE_URL (or each with _FILE), of the owner; PUSHFLEET_URL for the version of the producer. Run it
with the program of the new version, while the services of the old one run:

  1. It refuses where the database or a service is of a newer version than this program.
  2. It backs up, where anything is to be migrated (--backup or --no-backup has to say so, unless the database is empty).
  3. It runs the migrations, in one transaction, and grants with --grant.
  4. It names the services that are of another version. Replace them, in any order; then run it again.

Examples:
  pushfleet upgrade --dry-run
  pushfleet upgrade --backup /backups/before-upgrade`,
    )
    .action(async (options: UpgradeOptions) => {
      const result = await upgrade(terminal, options);
      terminal.print(result, () => show(result).join('\n'));
    });
}

interface Upgrade {
  readonly version: string;
  readonly dryRun: boolean;
  /** Migrations that were pending. */
  readonly pending: readonly string[];
  /** Migrations that were run. */
  readonly ran: readonly string[];
  readonly granted: readonly string[];
  /** Folder of the backup. */
  readonly backup: string | null;
  readonly services: readonly RunningService[];
}

async function upgrade(terminal: Terminal, options: UpgradeOptions): Promise<Upgrade> {
  const databaseUrl = await readDatabaseUrl(terminal.env);
  const { config, problems } = await readEnvironment(terminal.env, { service: 'producer' });
  if (config === undefined) {
    throw new CliError('usage', problems.map(({ field, message }) => `${field} ${message}`).join('; '));
  }
  const { version } = readBuildInfo();
  const { pending, unknown, run } = await readMigrationState(databaseUrl);
  const services = await readServices(terminal, config);
  refuseNewer(version, unknown, services);
  const isDry = options.dryRun === true;
  const isSaved = pending.length > 0 && run.length > 0;
  if (isSaved && options.backup === undefined && !isDry) {
    throw new CliError(
      'usage',
      `${counted(pending.length, 'migration')} would be run, and nothing is migrated backwards: name a folder for a backup, --backup FOLDER, or say --no-backup`,
    );
  }
  const plan = { version, dryRun: isDry, pending, services };
  const folder = isSaved && typeof options.backup === 'string' ? options.backup : undefined;
  if (isDry) return { ...plan, ran: [], granted: [], backup: folder ?? null };
  if (folder !== undefined) {
    const manifest = await backUp(terminal, folder, true);
    for (const line of describeBackup(folder, manifest)) terminal.note(line);
  }
  const { migrations: ran, granted } = await migrateAndGrant(terminal, options);
  const left = await readMigrationState(databaseUrl);
  if (left.pending.length > 0) {
    throw new CliError('upgrade-unfinished', `Still pending: ${left.pending.join(', ')}. Run it again.`);
  }
  return { ...plan, ran, granted, backup: folder ?? null };
}

/** @throws CliError `version-older` */
function refuseNewer(version: string, unknown: readonly string[], services: readonly RunningService[]): void {
  const newer = services.filter(({ standing }) => standing === 'newer');
  if (unknown.length === 0 && newer.length === 0) return;
  const reasons = [
    ...(unknown.length === 0
      ? []
      : [`the database has migrations of a newer version: ${unknown.join(', ')}`]),
    ...newer.map((one) => `the ${one.service} at ${one.at} is of version ${one.version}`),
  ];
  throw new CliError(
    'version-older',
    `This program is of version ${version}, and ${reasons.join('; ')}. Run the program of that version. An older version of the services runs beside a newer schema, and needs no command.`,
  );
}

function show({ version, dryRun, pending, ran, granted, backup, services }: Upgrade): string[] {
  const others = services.filter(({ standing }) => standing !== 'current');
  const migrated = dryRun
    ? [
        pending.length === 0
          ? 'The schema is of this version: nothing would be migrated'
          : `${counted(pending.length, 'migration')} would be run: ${pending.join(', ')}`,
        ...(backup === null ? [] : [`A backup would be made before, in ${backup}`]),
      ]
    : [
        ran.length === 0 ? 'The schema is of this version' : `Ran ${ran.join(', ')}`,
        ...(granted.length === 0 ? [] : [`Granted their rights to ${granted.join(' and ')}`]),
      ];
  const running =
    services.length === 0
      ? ['No worker is alive and no API answers: start services of this version']
      : others.length === 0
        ? [`All that run are of version ${version}: ${nameAll(services)}`]
        : [
            `Of another version than ${version}, and to be replaced, in any order:`,
            ...others.map(
              (one) => `  ${one.service} at ${one.at}: ${one.version === '' ? 'unknown' : one.version}`,
            ),
            'Each drains when it is stopped: docker compose up -d, kubectl apply -k, systemctl restart pushfleet.target.',
          ];
  return [
    ...migrated,
    ...running,
    'Sweepers do not tell their version: replace them too. Then look: pushfleet doctor',
  ];
}

function nameAll(services: readonly RunningService[]): string {
  const workers = services.filter(({ service }) => service === 'worker').length;
  const parts = [
    ...(workers === 0 ? [] : [counted(workers, 'worker')]),
    ...(workers < services.length ? ['the producer'] : []),
  ];
  return parts.join(' and ');
}
