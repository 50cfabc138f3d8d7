import { parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { PushQueueError, parseTime } from '@pushfleet/push-queue';
import { type DeviceRegistration, registrationTimeRefusal } from '@pushfleet/token-store';
import { z } from 'zod';
import { fieldErrors } from '../http/field-errors.ts';
import { parseJson } from '../http/parse-json.ts';
import { type FieldError, Problem } from '../http/problem.ts';
import { registrationFields } from '../schemas/device-schemas.ts';
import { deviceToken } from '../schemas/notification-schemas.ts';
import { type SourceRecord, withoutBlanks } from './read-records.ts';

/** A device of a file. */
const deviceLineSchema = z
  .strictObject({
    token: deviceToken,
    ...registrationFields,
    registeredAt: z
      .string()
      .superRefine((text, context) => {
        const message = timeRefusal(text);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .optional()
      .meta({ description: 'When the app registered it; now by default.' }),
  })
  .meta({ id: 'DeviceLine' });

/** Undefined: a device may have been registered then. */
function timeRefusal(text: string): string | undefined {
  try {
    return registrationTimeRefusal(parseTime('', text), Date.now());
  } catch (error) {
    if (!(error instanceof PushQueueError)) throw error;
    return 'must be ISO 8601 text with a zone, such as 2026-01-31T12:00:00Z';
  }
}

export type ParsedDevice =
  | { readonly registration: DeviceRegistration }
  | { readonly errors: readonly FieldError[] };

/** Reads one record after the other. The first one of CSV names the columns. */
export class DeviceParser {
  readonly #format: 'ndjson' | 'csv';
  #columns: readonly string[] | undefined;

  constructor(format: 'ndjson' | 'csv') {
    this.#format = format;
  }

  /** Undefined: the record is no device but the head. @throws Problem when the head is none */
  parse(record: SourceRecord): ParsedDevice | undefined {
    if (this.#format === 'csv' && this.#columns === undefined) {
      this.#columns = columnsOf(record);
      return undefined;
    }
    if (record.error !== undefined) return { errors: [{ field: 'line', message: record.error }] };
    if (this.#columns === undefined) return parseJsonLine(record.fields[0]!);
    if (record.fields.length !== this.#columns.length) {
      const message = `has ${record.fields.length} fields, and there are ${this.#columns.length} columns`;
      return { errors: [{ field: 'line', message }] };
    }
    return parseFields(this.#columns, record);
  }
}

const knownColumns = Object.keys(deviceLineSchema.shape);

/** The columns that the first line names. @throws Problem */
function columnsOf({ line, fields, error }: SourceRecord): readonly string[] {
  const columns = fields.map(withoutBlanks);
  const unknown = columns.filter((name) => !knownColumns.includes(name));
  const twice = columns.filter((name, place) => columns.indexOf(name) !== place);
  const message =
    error ??
    (unknown.length > 0
      ? `names columns that there are not: ${unknown.map(shown).join(', ')}; there are ${knownColumns.join(', ')}`
      : twice.length > 0
        ? `names a column twice: ${twice.map(shown).join(', ')}`
        : columns.includes('token')
          ? undefined
          : 'must name the columns, `token` among them');
  if (message === undefined) return columns;
  const field = `line ${line}`;
  throw new Problem('invalid-request', `${field}: ${message}`, { errors: [{ field, message }] });
}

/** A file without a head has a device, and its token, where the names should be. */
function shown(name: string): string {
  return name.length > 24 ? `${name.slice(0, 8)}…` : JSON.stringify(name);
}

function parseJsonLine(text: string): ParsedDevice {
  let value: unknown;
  try {
    value = parseJson(text, 'the line');
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { errors: error.errors.length === 0 ? [{ field: 'line', message: 'is not JSON' }] : error.errors };
  }
  return parseValue(value);
}

/** Empty fields say nothing; tags are parted by semicolons. White space around what is not in quotes is left out. */
function parseFields(columns: readonly string[], { fields, quoted }: SourceRecord): ParsedDevice {
  const entries: [string, unknown][] = [];
  for (const [place, name] of columns.entries()) {
    const field = fields[place]!;
    const text = quoted?.[place] === true ? field : withoutBlanks(field);
    if (text === '') continue;
    if (name !== 'tags') {
      entries.push([name, text]);
      continue;
    }
    if (text.includes(',')) {
      const message =
        'must be parted by semicolons, such as vip;de; a tag with a comma is taken in NDJSON alone';
      return { errors: [{ field: 'tags', message }] };
    }
    const tags = text.split(';').map(withoutBlanks);
    entries.push([name, tags.filter((tag) => tag !== '')]);
  }
  return parseValue(Object.fromEntries(entries));
}

function parseValue(value: unknown): ParsedDevice {
  const parsed = deviceLineSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) return { errors: fieldErrors(parsed.error, 'line') };
  const { token, previousToken, registeredAt, ...fields } = parsed.data;
  return {
    registration: {
      ...(fields as Omit<DeviceRegistration, 'token'>),
      token: parseDeviceToken(token),
      ...(previousToken === undefined ? {} : { previousToken: parseDeviceToken(previousToken) }),
      ...(registeredAt === undefined ? {} : { registeredAt: new Date(registeredAt) }),
    },
  };
}
