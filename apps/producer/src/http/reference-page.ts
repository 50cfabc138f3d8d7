import { createHash } from 'node:crypto';

// The OpenAPI document as one page to read: plain HTML without a script, so that what is served without a key is small,
// and nothing on the API's origin can act for whoever reads it.

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<
    Record<string, { readonly description?: string; readonly content?: Content }>
  >;
  readonly 'x-scopes'?: readonly string[];
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
}

type Content = Readonly<Record<string, { readonly schema?: unknown }>>;

/** As much of an OpenAPI document as is shown. */
export interface ReferenceDocument {
  readonly info: { readonly title: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, object>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h3 { border-top: 1px solid #8886; padding-top: 1rem; margin: 2rem 0 0; }
code, pre { font: 13px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; background: #8881; padding: .75rem; }
.scope { background: #8883; border-radius: 3px; padding: 0 .4em; }
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** Of every page here: nothing is loaded, run, framed or sent. */
export const referenceHeaders = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const;

/** The whole page. */
export function renderReference(document: ReferenceDocument): string {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...(operation as Operation) })),
  );
  const byTag = Map.groupBy(operations, ({ tags }) => tags?.[0] ?? '');
  const title = escapeText(document.info.title);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${style}</style></head><body>
<h1>${title}</h1>
${prose(document.info.description)}
<p>For tools: <a href="/openapi.json">/openapi.json</a></p>
<ul>${[...byTag.keys()].map((tag) => `<li><a href="#${anchor(tag)}">${escapeText(tag)}</a></li>`).join('')}</ul>
${[...byTag].map(([tag, list]) => `<h2 id="${anchor(tag)}">${escapeText(tag)}</h2>\n${list.map(section).join('\n')}`).join('\n')}
<h2 id="schemas">Schemas</h2>
${Object.entries(document.components?.schemas ?? {})
  .map(
    ([name, schema]) => `<h3 id="schema-${escapeText(name)}">${escapeText(name)}</h3>${schemaText(schema)}`,
  )
  .join('\n')}
</body></html>
`;
}

function section({ path, method, ...operation }: Operation & { path: string; method: string }): string {
  const { summary, description, parameters = [], requestBody, responses = {} } = operation;
  const scopes = (operation['x-scopes'] ?? []).map(
    (scope) => `<span class="scope">${escapeText(scope)}</span>`,
  );
  const lines = parameters.map(
    ({ name, in: place, required, description: text }) =>
      `<li><code>${escapeText(name)}</code> (${escapeText(place)}${required === true ? ', required' : ''}) ${inline(text ?? '')}</li>`,
  );
  const answers = Object.entries(responses).map(
    ([status, { description: text, content }]) =>
      `<li><code>${escapeText(status)}</code> ${inline(text ?? '')} ${contentText(content)}</li>`,
  );
  return `<h3><code>${method.toUpperCase()} ${escapeText(path)}</code></h3>
<p>${inline(summary ?? '')}${scopes.length === 0 ? '' : ` · a key needs ${scopes.join(' ')}`}</p>
${prose(description)}
${lines.length === 0 ? '' : `<p>Parameters</p><ul>${lines.join('')}</ul>`}
${requestBody === undefined ? '' : `<p>Body</p>${contentText(requestBody.content)}`}
<p>Answers</p><ul>${answers.join('')}</ul>`;
}

function contentText(content: Content = {}): string {
  return Object.entries(content)
    .map(([type, { schema }]) => `<code>${escapeText(type)}</code> ${schemaText(schema)}`)
    .join(' ');
}

const reference = '#/components/schemas/';

/** A schema by its name where it has one, else as it is. */
function schemaText(schema: unknown): string {
  const { $ref } = (schema ?? {}) as { $ref?: string };
  if ($ref?.startsWith(reference)) return link($ref.slice(reference.length));
  const text = escapeText(JSON.stringify(schema ?? {}, null, 1));
  const linked = text.replaceAll(
    /&quot;\$ref&quot;: &quot;#\/components\/schemas\/(\w+)&quot;/g,
    (_, name: string) => link(name),
  );
  return `<pre>${linked}</pre>`;
}

function link(name: string): string {
  return `<a href="#schema-${escapeText(name)}">${escapeText(name)}</a>`;
}

function prose(text = ''): string {
  return text
    .split(/\n\n+/)
    .filter(Boolean)
    .map((paragraph) => `<p>${inline(paragraph)}</p>`)
    .join('\n');
}

function inline(text: string): string {
  return escapeText(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function anchor(text: string): string {
  return `tag-${text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => entities[character]!);
}
