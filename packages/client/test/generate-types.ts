import { isDeepStrictEqual } from 'node:util';

// Makes the types of the API from its OpenAPI document: only what our own document uses of JSON Schema. An object that
// has all fields of a named one is that one and more: JSON Schema writes them out again, people need not read them so.

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly description?: string;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Operation {
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: Content & { readonly required?: boolean };
  readonly responses: Readonly<Record<string, Content>>;
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Of fewer fields than these, it is no more than chance that another object has the same. */
const fewestShared = 6;

/** TypeScript, formatted as far as it must be to be compared. */
export function generateTypes(document: ApiDocument): string {
  return new TypeWriter(document).write();
}

class TypeWriter {
  readonly #document: ApiDocument;
  /** Those that others may be made of, the largest first. */
  readonly #bases: readonly (readonly [name: string, schema: Schema])[];

  constructor(document: ApiDocument) {
    this.#document = document;
    this.#bases = Object.entries(document.components.schemas)
      .filter(([, schema]) => fieldsOf(schema).length >= fewestShared)
      .toSorted(([, a], [, b]) => fieldsOf(b).length - fieldsOf(a).length);
  }

  write(): string {
    const { components, paths } = this.#document;
    const types = Object.entries(components.schemas).map(
      ([name, schema]) => `${comment(schema)}export type ${name} = ${this.#typeOf(schema)};\n`,
    );
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, operation]) => `'${method.toUpperCase()} ${path}': ${this.#typeOfOperation(operation)};`,
      ),
    );
    return [
      '// Made from docs/openapi.json by test/api-types.test.ts; not to be edited.',
      '',
      ...types,
      '/** Each operation: what it takes, and what it answers. */',
      'export interface Operations {',
      ...operations,
      '}',
      '',
    ].join('\n');
  }

  #typeOfOperation({ parameters = [], requestBody, responses }: Operation): string {
    const group = (place: string) => {
      const fields = parameters
        .filter((parameter) => parameter.in === place)
        .map(
          ({ name, required, schema }) =>
            `readonly '${name}'${required ? '' : '?'}: ${this.#typeOf(schema)};`,
        );
      return fields.length === 0 ? 'undefined' : `{ ${fields.join(' ')} }`;
    };
    const body = requestBody?.content?.['application/json'];
    const answers = Object.entries(responses)
      .filter(([status]) => status.startsWith('2'))
      .map(([, { content }]) => {
        const json = content?.['application/json'];
        return json === undefined
          ? content === undefined
            ? 'undefined'
            : 'string'
          : this.#typeOf(json.schema);
      });
    return [
      '{',
      `readonly path: ${group('path')};`,
      `readonly query: ${group('query')};`,
      `readonly body: ${body === undefined ? 'undefined' : this.#typeOf(body.schema)};`,
      `readonly answer: ${[...new Set(answers)].join(' | ')};`,
      '}',
    ].join(' ');
  }

  #typeOf(schema: Schema): string {
    if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1)!;
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices !== undefined) return choices.map((choice) => this.#typeOf(choice)).join(' | ');
    if (Array.isArray(schema.type))
      return schema.type.map((type: string) => this.#typeOf({ ...schema, type })).join(' | ');
    switch (schema.type) {
      case 'string':
      case 'boolean':
      case 'null':
        return schema.type;
      case 'integer':
      case 'number':
        return 'number';
      case 'array':
        return `readonly (${this.#typeOf(schema.items ?? {})})[]`;
      case 'object':
        return this.#typeOfObject(schema);
      default:
        return 'unknown';
    }
  }

  #typeOfObject(schema: Schema): string {
    const { properties = {}, required = [], additionalProperties } = schema;
    const base = this.#bases.find(([, candidate]) => candidate !== schema && hasAllOf(schema, candidate));
    const inherited = new Set(base === undefined ? [] : fieldsOf(base[1]));
    const fields = Object.entries(properties)
      .filter(([name]) => !inherited.has(name))
      .map(
        ([name, field]) =>
          `${comment(field)}readonly ${name}${required.includes(name) ? '' : '?'}: ${this.#typeOf(field)};`,
      );
    const own = `{\n${fields.join('\n')}\n}`;
    if (base !== undefined) return fields.length === 0 ? base[0] : `${base[0]} & ${own}`;
    if (fields.length > 0) return own;
    const values = typeof additionalProperties === 'object' ? this.#typeOf(additionalProperties) : 'unknown';
    return `{ readonly [name: string]: ${values} }`;
  }
}

function fieldsOf({ properties = {} }: Schema): string[] {
  return Object.keys(properties);
}

/** Whether an object has every field of another, and means the same by it. */
function hasAllOf(schema: Schema, other: Schema): boolean {
  const isRequired = ({ required = [] }: Schema, name: string): boolean => required.includes(name);
  return fieldsOf(other).every(
    (name) =>
      isDeepStrictEqual(schema.properties?.[name], other.properties?.[name]) &&
      isRequired(schema, name) === isRequired(other, name),
  );
}

function comment({ description }: Schema): string {
  return description === undefined ? '' : `/** ${description.replaceAll('*/', '* /')} */\n`;
}
