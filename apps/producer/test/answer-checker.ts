import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Answer {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Holds answers against the OpenAPI document: the status must be there, and the body as its schema says. */
export class AnswerChecker {
  readonly #document: OpenApiDocument;
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    this.#ajv.addSchema(document, 'api');
  }

  /** Routes that the document does not name are not checked. */
  check({ method, url, status, contentType, text }: Answer): void {
    const path = this.#pathOf(url);
    if (path === undefined) return;
    const verb = method.toLowerCase();
    const what = `${method} ${path} ${status}`;
    const response = this.#document.paths[path]?.[verb]?.responses[status];
    expect(response, `${what} stands in the OpenAPI document`).toBeDefined();
    const type = contentType?.split(';', 1)[0];
    if (response!.content === undefined) {
      expect(text, `${what} has no body`).toBe('');
      return;
    }
    expect(Object.keys(response!.content), `${what} is of a type that the document names`).toContain(type);
    if (type === 'text/csv') return;
    const pointer = ['paths', path, verb, 'responses', String(status), 'content', type!, 'schema']
      .map((part) =>
        part.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D'),
      )
      .join('/');
    let validate = this.#validators.get(pointer);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: `api#/${pointer}` });
      this.#validators.set(pointer, validate);
    }
    const bodies = type === 'application/x-ndjson' ? text.trim().split('\n').filter(Boolean) : [text];
    for (const body of bodies) {
      validate(JSON.parse(body));
      expect(validate.errors ?? [], `${what}: ${body.slice(0, 300)}`).toEqual([]);
    }
  }

  /** The path of the document that a URL is of; where there are two, the one with fewer parameters. */
  #pathOf(url: string): string | undefined {
    const parts = url.split('?', 1)[0]!.split('/');
    const isLike = (path: string): boolean => {
      const pattern = path.split('/');
      return (
        pattern.length === parts.length &&
        pattern.every((part, at) => part.startsWith('{') || part === parts[at])
      );
    };
    const parameters = (path: string) => path.split('{').length;
    return Object.keys(this.#document.paths)
      .filter(isLike)
      .toSorted((a, b) => parameters(a) - parameters(b))[0];
  }
}
