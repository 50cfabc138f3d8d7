import type { DeviceRegistration, Devices } from '@pushfleet/token-store';
import { DeviceParser } from './parse-device.ts';
import type { SourceRecord } from './read-records.ts';

export interface ImportResult {
  /** Devices of the file that were taken. */
  imported: number;
  created: number;
  reactivated: number;
  moved: number;
  errorCount: number;
  /** The first ones. */
  readonly errors: { line: number; field: string; message: string }[];
}

export interface ImportOptions {
  readonly devices: Devices;
  readonly app: string;
  readonly format: 'ndjson' | 'csv';
  /** Devices in one statement: what comes back of more keeps the process from others for too long. */
  readonly chunkSize?: number;
}

const maxErrors = 1_000;

/**
 * Registers the devices of a file of any length. A line that is not right is told and passed over; lines before and
 * after it count. One statement is on its way while the next lines are read, and never more.
 * @throws TokenStoreError; lines before it have been taken, and may be sent again
 */
export async function importDevices(
  records: AsyncIterable<SourceRecord>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { devices, app, chunkSize = 500 } = options;
  const result: ImportResult = {
    imported: 0,
    created: 0,
    reactivated: 0,
    moved: 0,
    errorCount: 0,
    errors: [],
  };
  const parser = new DeviceParser(options.format);
  let chunk: DeviceRegistration[] = [];
  /** Tokens of the chunk: in one statement there is no before and after. */
  let tokens = new Set<string>();
  let writing: Promise<void> = Promise.resolve();
  const write = async (registrations: readonly DeviceRegistration[]): Promise<void> => {
    for (const { created, reactivated, moved } of await devices.registerMany(app, registrations)) {
      if (created) result.created += 1;
      if (reactivated) result.reactivated += 1;
      if (moved) result.moved += 1;
    }
    result.imported += registrations.length;
  };
  for await (const record of records) {
    const parsed = parser.parse(record);
    if (parsed === undefined) continue;
    if ('errors' in parsed) {
      result.errorCount += record.lines;
      for (const { field, message } of parsed.errors) {
        if (result.errors.length < maxErrors) result.errors.push({ line: record.line, field, message });
      }
      continue;
    }
    const { registration } = parsed;
    const { token, previousToken } = registration;
    // A device that comes again is registered again, after what the file says of it before.
    const isAgain = tokens.has(token) || (previousToken !== undefined && tokens.has(previousToken));
    if (isAgain || chunk.length === chunkSize) {
      await writing;
      writing = write(chunk);
      // Awaited before the next one; until then it must not be taken for unhandled.
      writing.catch(() => undefined);
      chunk = [];
      tokens = new Set();
    }
    chunk.push(registration);
    tokens.add(token);
    if (previousToken !== undefined) tokens.add(previousToken);
  }
  await writing;
  await write(chunk);
  return result;
}
