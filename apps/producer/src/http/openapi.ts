import { STATUS_CODES } from 'node:http';
import swagger from '@fastify/swagger';
import { readBuildInfo } from '@pushfleet/service-kit';
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifySchema } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { describeWebhooks } from '../schemas/webhook-event-schemas.ts';
import { type ReferenceDocument, referenceHeaders, renderReference } from './reference-page.ts';

const description = `
Sends Apple push notifications. \`202\` means that the queue has a notification, and that it will end in exactly one
outcome: \`accepted\` (proved or presumed), \`rejected\`, \`expired\`, \`cancelled\` or \`dead\`.

Errors are problem+json (RFC 9457) with a stable \`code\`. With an \`Idempotency-Key\` a request may be repeated for a
day: it yields one push, and a repeated answer says so (\`replayed\`, and the header \`idempotency-replayed\`).
`.trim();

/** Makes the OpenAPI document from the schemas of the routes that are added afterwards. */
export async function describeApi(app: FastifyInstance, { keys }: { keys: boolean }): Promise<void> {
  const { version, commit, node } = readBuildInfo();
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Pushfleet',
        version,
        ...{ 'x-build': { commit, node } },
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'Sending' },
        { name: 'Status' },
        { name: 'Broadcasts' },
        { name: 'Devices' },
        { name: 'Apps' },
        { name: 'Dead letters' },
        { name: 'Webhooks' },
        { name: 'Audit' },
      ],
      ...(keys
        ? {
            components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
            security: [{ key: [] }],
          }
        : {}),
    },
    transform: (route) => {
      const { schema, url } = jsonSchemaTransform(route);
      const { scopes = [] } = (route.route.config ?? {}) as FastifyContextConfig;
      return { schema: { ...schema, 'x-scopes': scopes } as FastifySchema, url };
    },
    transformObject: (document) => ({
      ...tidyComponents(jsonSchemaTransformObject(document) as Document),
      webhooks: describeWebhooks(),
    }),
  });
  // What is in the code of this version, so it tells nothing of anybody; made once.
  const open = { schema: { hide: true }, config: { scopes: [] } };
  let text: string | undefined;
  app.get('/openapi.json', open, (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return answer(reply, 'application/json; charset=utf-8', text);
  });
  let page: string | undefined;
  for (const url of ['/docs', '/docs/']) {
    app.get(url, open, (_request, reply) => {
      page ??= renderReference(app.swagger() as ReferenceDocument);
      return answer(reply, 'text/html; charset=utf-8', page);
    });
  }
}

function answer(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply.type(type).headers(referenceHeaders).serializer(String).send(text);
}

type Document = Extract<ReturnType<typeof jsonSchemaTransformObject>, { openapi?: unknown }>;

const componentPath = '#/components/schemas/';

/**
 * Every schema comes twice, as what is sent to us (`…Input`) and as what we send. Leaves those that are used, and under
 * the plain name alone what is the same both ways.
 */
function tidyComponents(document: Document): Document {
  const { components = {} } = document;
  const schemas = (components.schemas ?? {}) as Record<string, unknown>;
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    for (const name of referencesIn(value)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(schemas[name]);
    }
  };
  visit((document as { paths?: unknown }).paths);
  const nameOf = (name: string): string => {
    const plain = name.replace(/Input$/, '');
    const isOther = used.has(plain) && JSON.stringify(schemas[plain]) !== JSON.stringify(schemas[name]);
    return isOther ? name : plain;
  };
  const named = [...used].map((name): [string, unknown] => [nameOf(name), schemas[name]]);
  const kept = Object.fromEntries(named.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const tidy = { ...document, components: { ...components, schemas: kept } };
  return JSON.parse(JSON.stringify(tidy), (key, value: unknown) => {
    if (key === '$ref' && typeof value === 'string' && value.startsWith(componentPath))
      return componentPath + nameOf(value.slice(componentPath.length));
    return isUndescribed(value) ? { ...value, description: STATUS_CODES[key] ?? key } : value;
  }) as Document;
}

/** An answer, by its status, that has no description of its own. */
function isUndescribed(value: unknown): value is { readonly description: string } {
  return (value as { readonly description?: unknown } | null)?.description === 'Default Response';
}

function referencesIn(value: unknown): string[] {
  const text = JSON.stringify(value ?? null);
  return [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
}
