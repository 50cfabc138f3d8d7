import type { DeviceImport, PushfleetClient } from '@pushfleet/client';
import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { counted } from '../table.ts';
import { ExitCode, type Terminal } from '../terminal.ts';
import { addShowCommand } from './devices-show-command.ts';
import { type ImportProgress, ImportProgressFile } from './import-progress.ts';
import { apiHelp, openClient } from './open-client.ts';
import { progressBar } from './progress-bar.ts';
import { readChunks, readFirstLine } from './read-chunks.ts';

interface ImportOptions {
  readonly app: string;
  readonly format?: 'ndjson' | 'csv';
  readonly restart?: boolean;
}

/** Bytes of one request: what is registered when it is answered, and done again when it is interrupted. */
const chunkBytes = 4 * 1024 * 1024;
/** Lines with errors that are told one by one. */
const errorsShown = 20;

/** `pushfleet devices …` */
export function addDevicesCommands(program: Command, terminal: Terminal): void {
  const devices = program.command('devices').description('the device table');
  addShowCommand(devices, terminal);
  devices
    .command('import')
    .description('register the devices of a file of any length')
    .argument('<file>', 'NDJSON, a device each line, or CSV whose first line names the columns')
    .requiredOption('--app <id>')
    .addOption(new Option('--format <format>', 'by default from the name').choices(['ndjson', 'csv']))
    .option('--restart', 'from the beginning, though an import of this file was interrupted')
    .addHelpText(
      'after',
      `${apiHelp}
Columns: token, userId, tags (parted by semicolons in CSV), locale, timeZone, registeredAt. Lines that are not right are
told and passed over. An import that was interrupted goes on where it stopped, when it is called again; registering a
device twice does no harm. Exit code 1: some lines were not right.

Examples:
  pushfleet devices import devices.csv --app shop-prod
  pushfleet devices import devices.ndjson --app shop-prod --json`,
    )
    .action(async (file: string, options: ImportOptions) => {
      const format = options.format ?? (/\.csv$/i.test(file) ? 'csv' : 'ndjson');
      const progress = await openProgress(file, options.app);
      if (options.restart === true) await progress.remove();
      const client = await openClient(terminal);
      const result = await importFile({ file, app: options.app, format, progress, client, terminal });
      await progress.remove();
      terminal.print({ app: options.app, ...result }, () =>
        [
          ...result.errors.map(({ line, field, message }) => `line ${line}: ${field} ${message}`),
          `${counted(result.imported, 'device')} registered, ${counted(result.errorCount, 'line')} passed over`,
        ].join('\n'),
      );
      if (result.errorCount > 0) terminal.exitCode = ExitCode.failed;
    });
}

async function openProgress(file: string, app: string): Promise<ImportProgressFile> {
  try {
    return await ImportProgressFile.open(file, app);
  } catch (cause) {
    throw new CliError('file-unreadable', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

interface FileImport {
  readonly file: string;
  readonly app: string;
  readonly format: 'ndjson' | 'csv';
  readonly progress: ImportProgressFile;
  readonly client: PushfleetClient;
  readonly terminal: Terminal;
}

type ImportResult = Pick<DeviceImport, 'imported' | 'errorCount' | 'errors'>;

async function importFile(options: FileImport): Promise<ImportResult> {
  const { file, app, format, progress, client, terminal } = options;
  let done: ImportProgress = await progress.read();
  if (done.bytes > 0) terminal.note(`goes on at line ${(done.lines + 1).toLocaleString('en')}`);
  const header = format === 'csv' ? await readFirstLine(file) : undefined;
  const errors: DeviceImport['errors'][number][] = [];
  for await (const { bytes, lines } of readChunks(file, done.bytes, chunkBytes, {
    quotes: format === 'csv',
  })) {
    // Each request has to name the columns; the first one holds the file's own first line.
    const isFirst = done.bytes === 0;
    const prefix = header === undefined || isFirst ? undefined : header;
    const answer = await client.importDevices(
      app,
      format,
      prefix === undefined ? bytes : Buffer.concat([prefix, bytes]),
    );
    const lineOffset = done.lines - (prefix === undefined ? 0 : 1);
    errors.push(...answer.errors.map((error) => ({ ...error, line: error.line + lineOffset })));
    done = {
      bytes: done.bytes + bytes.length,
      lines: done.lines + lines,
      imported: done.imported + answer.imported,
      errorCount: done.errorCount + answer.errorCount,
    };
    await progress.write(done);
    terminal.statusLine(`${progressBar(done.bytes / progress.size)}  ${counted(done.imported, 'device')}`);
  }
  terminal.statusLineEnded();
  return { imported: done.imported, errorCount: done.errorCount, errors: errors.slice(0, errorsShown) };
}
