import fc from 'fast-check';

// Requests from the OpenAPI document: as its schemas want them, and with every kind of thing where it does not belong.

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly examples?: readonly unknown[];
  readonly format?: string;
}

interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

export interface FuzzedDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export interface FuzzedRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly url: string;
  readonly body: unknown;
}

export interface FuzzOptions {
  readonly apps: readonly string[];
  readonly tokens: readonly string[];
  /** Ids of what there is: batches, broadcasts and the like. */
  readonly ids?: readonly string[];
  /** Stands in every text that is made, so that it can be looked for. */
  readonly secret: string;
}

export function arbitraryRequest(
  document: FuzzedDocument,
  options: FuzzOptions,
): fc.Arbitrary<FuzzedRequest> {
  const text = fc.oneof(
    { weight: 9, arbitrary: fc.string({ maxLength: 20 }).map((tail) => options.secret + tail) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((tail) => options.secret + tail),
    },
    { weight: 1, arbitrary: fc.constantFrom('', '\0', '\ud800', '💥', 'x'.repeat(5_000)) },
  );
  const known = options.ids === undefined ? [] : [fc.constantFrom(...options.ids)];
  const anything = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.double(), fc.constant(null));

  const ofSchema = (schema: Schema, depth: number, name = ''): fc.Arbitrary<unknown> => {
    const right = rightful(schema, depth, name);
    // One in forty is something else.
    return fc.oneof({ weight: 39, arbitrary: right }, { weight: 1, arbitrary: anything });
  };

  const rightful = (schema: Schema, depth: number, name: string): fc.Arbitrary<unknown> => {
    if (depth > 8) return fc.constant(null);
    if (schema.$ref !== undefined) {
      return rightful(document.components.schemas[schema.$ref.split('/').at(-1)!]!, depth + 1, name);
    }
    if (name === 'app') return fc.constantFrom(...options.apps);
    if (name === 'token' || name === 'previousToken') return fc.constantFrom(...options.tokens);
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if (schema.anyOf !== undefined) {
      return fc.oneof(...schema.anyOf.map((each) => ofSchema(each, depth + 1, name)));
    }
    switch (schema.type) {
      case 'object':
        return ofObject(schema, depth);
      case 'array':
        return fc.array(ofSchema(schema.items ?? {}, depth + 1), { maxLength: 3 });
      case 'integer':
        return fc.integer({
          min: Math.max(schema.minimum ?? -1, -1),
          max: Math.min(schema.maximum ?? 5_000, 5_000),
        });
      case 'number':
        return fc.double({ noNaN: true, noDefaultInfinity: true });
      case 'boolean':
        return fc.boolean();
      case 'string':
        if (schema.format === 'uuid') return known.length === 0 ? fc.uuid() : fc.oneof(fc.uuid(), ...known);
        if (schema.format === 'date-time') return fc.constant('2030-01-31T12:00:00Z');
        return schema.examples === undefined ? text : fc.constantFrom(...schema.examples);
      default:
        return anything;
    }
  };

  const ofObject = ({ properties = {}, required = [] }: Schema, depth: number): fc.Arbitrary<unknown> => {
    const optionals = Object.keys(properties).filter((name) => !required.includes(name));
    return fc
      .tuple(
        fc.subarray(optionals, { maxLength: Math.min(3, optionals.length) }),
        fc.subarray([...required], { minLength: Math.max(0, required.length - 1) }),
        fc.boolean(),
      )
      .chain(([optional, kept, isWhole]) => {
        const chosen = [...(isWhole ? required : kept), ...optional];
        return fc.record(
          Object.fromEntries(chosen.map((name) => [name, ofSchema(properties[name]!, depth + 1, name)])),
        );
      });
  };

  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  // Those that send are asked as often as all others together.
  const sending = operations.filter(({ path }) => path === '/v1/notifications' || path === '/v1/broadcasts');
  return fc
    .oneof(fc.constantFrom(...operations), fc.constantFrom(...sending))
    .chain(({ path, method, operation }) => {
      const { parameters = [], requestBody } = operation;
      const values = fc.record(
        Object.fromEntries(parameters.map(({ name, schema }) => [name, ofSchema(schema, 0, name)])),
        { requiredKeys: parameters.filter(({ in: place }) => place === 'path').map(({ name }) => name) },
      );
      const schema = requestBody?.content['application/json']?.schema;
      const body = schema === undefined ? fc.constant(undefined) : ofSchema(schema, 0);
      return fc.tuple(values, body).map(([given, payload]) => {
        const inUrl = given as Readonly<Record<string, unknown>>;
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encode(inUrl[name]) || 'x');
        const query = parameters
          .filter(({ in: place, name }) => place === 'query' && inUrl[name] !== undefined)
          .map(({ name }) => `${name}=${encode(inUrl[name])}`)
          .join('&');
        return {
          method: method.toUpperCase() as FuzzedRequest['method'],
          url: query === '' ? filled : `${filled}?${query}`,
          body: payload,
        };
      });
    });
}

function encode(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? '');
  return encodeURIComponent(text.toWellFormed().slice(0, 300));
}
