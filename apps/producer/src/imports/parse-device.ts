import { parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import type { DeviceRegistration } from '@pushfleet/token-store';
import { z } from 'zod';
import { fieldErrors } from '../http/field-errors.ts';
import { parseJson } from '../http/parse-json.ts';
import { type FieldError, Problem } from '../http/problem.ts';
import { registrationFields } from '../schemas/device-schemas.ts';
import { deviceToken } from '../schemas/notification-schemas.ts';
import type { SourceRecord } from './read-records.ts';

/** A device of a file. */
const deviceLineSchema = z
  .strictObject({
    token: deviceToken,
    ...registrationFields,
    registeredAt: z.iso
      .datetime({ offset: true })
      .optional()
      .meta({ description: 'When the app registered it; now by default.' }),
  })
  .meta({ id: 'DeviceLine' });

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
    if (record.error !== undefined) return { errors: [{ field: 'line', message: record.error }] };
    if (this.#format === 'ndjson') return parseJsonLine(record.fields[0]!);
    if (this.#columns === undefined) {
      this.#columns = record.fields.map((name) => name.trim());
      if (this.#columns.includes('token')) return undefined;
      const message = 'must name the columns, `token` among them';
      throw new Problem('invalid-request', `line 1: ${message}`, { errors: [{ field: 'line 1', message }] });
    }
    if (record.fields.length !== this.#columns.length) {
      const message = `has ${record.fields.length} fields, and there are ${this.#columns.length} columns`;
      return { errors: [{ field: 'line', message }] };
    }
    return parseValue(fromColumns(this.#columns, record.fields));
  }
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

/** Empty fields say nothing; tags are parted by semicolons. */
function fromColumns(columns: readonly string[], fields: readonly string[]): Record<string, unknown> {
  const entries = columns.flatMap((name, place): [string, unknown][] => {
    const text = fields[place]!.trim();
    if (text === '') return [];
    return [[name, name === 'tags' ? text.split(';').map((tag) => tag.trim()) : text]];
  });
  return Object.fromEntries(entries);
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
