import { fileURLToPath } from 'node:url';
import {
  appSettings,
  clientVariables,
  connectionVariables,
  type Variable,
  type VariableReader,
  variables,
} from '@pushfleet/service-kit';

export const settingsFile = fileURLToPath(new URL('../../docs/settings.md', import.meta.url));

const readerNames: Readonly<Record<VariableReader, string>> = {
  producer: 'producer',
  worker: 'worker',
  sweeper: 'sweeper',
  cli: '`pushfleet`',
  compose: 'compose',
  development: 'development',
};

/** docs/settings.md, made from the schemas of variables and of pushfleet.yaml. */
export function settingsPage(): string {
  const all = Object.entries(variables as Readonly<Record<string, Variable>>);
  const of = (isWanted: (variable: Variable) => boolean) => all.filter(([, variable]) => isWanted(variable));
  const outside = (readBy: readonly VariableReader[]) =>
    readBy.every((reader) => reader === 'compose' || reader === 'development');
  const composed = new Set([...Object.keys(connectionVariables), ...Object.keys(clientVariables)]);
  return `# Settings

<!-- Made by \`npm run settings\` from the schemas in packages/service-kit/src; not to be edited. -->

Every variable and every setting of \`pushfleet.yaml\`, from the schemas that read them. A service that finds something wrong
does not start: it says everything that is wrong at once, each by the name of the variable or the path of the field, with
a right value. \`pushfleet doctor\` says the same without starting anything.

- A variable that is empty counts as not set.
- A variable that begins with \`PUSHFLEET_\` and is not on this page is an error, which names the nearest one that is. What
  Kubernetes sets for Services named \`pushfleet…\` is let pass.
- A **secret** may be in a file: the variable with \`_FILE\` at its end names it. Only one of the two may be set. Its value
  is never shown.
- Durations are numbers with a unit: \`500ms\`, \`30s\`, \`10m\`, \`1h\`, \`1d\`.

## Connections

${table(of((variable) => variable.isSecret === true).filter(([name]) => composed.has(name) && name in connectionVariables))}

## Services

${table(of(({ readBy }) => !outside(readBy)).filter(([name]) => !composed.has(name)))}

OpenTelemetry's own variables turn [traces](operations.md#traces) on. \`SSL_CERT_FILE\` and \`SSL_CERT_DIR\` name further
authorities to trust.

## The operator's commands

\`pushfleet\` reads what the services read, and:

${table(Object.entries(clientVariables as Readonly<Record<string, Variable>>))}

## Docker Compose

Settings of \`docker-compose.yml\` itself, in the environment or in \`.env\` (\`.env.example\`). It hands
\`PUSHFLEET_AUTH\`, \`PUSHFLEET_KEY\`, \`PUSHFLEET_LOG_LEVEL\` and OpenTelemetry's variables on to the services.

${table(of(({ readBy }) => readBy.includes('compose')))}

## Development

${table(of(({ readBy }) => readBy.includes('development')))}

## pushfleet.yaml

One file names the apps; all services of a fleet read the same one. Paths are relative to the file.

\`\`\`yaml
apps:
  shop-prod:
    topic: com.example.shop
    environment: production
    transport: http2
    credential: { p8: ./AuthKey_ABC1234567.p8, keyId: ABC1234567, teamId: DEF1234567 }
\`\`\`

Each app has a name of 1 to 63 characters of \`a-z\`, \`0-9\` and \`-\`, and below it these settings. A credential is one of
\`{ p12 }\`, \`{ cert, key }\` (each with a passphrase where it has one) and \`{ p8, keyId, teamId }\`.

| setting | form | default | what it is |
|---|---|---|---|
${appSettings()
  .map(({ path, form, byDefault, isRequired, what }) =>
    row([
      `\`${path}\``,
      form,
      byDefault === undefined ? (isRequired ? 'required' : '') : `\`${byDefault}\``,
      what,
    ]),
  )
  .join('\n')}

On HTTP/2 a connection carries at most \`streams\` notifications a round trip: 2,000 at 50 ms are 40,000 a second. Where
answers take longer and the gateway allows more streams, raise \`streams\`, and \`window\` to several times as many.
`;
}

function table(entries: readonly (readonly [string, Variable])[]): string {
  const rows = entries.map(([name, { readBy, what, byDefault, example, isSecret }]) =>
    row([
      isSecret === true ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``,
      readBy.map((reader) => readerNames[reader]).join(', '),
      byDefault === undefined ? '' : `\`${byDefault}\``,
      /[ …$]/.test(example) ? example : `\`${example}\``,
      isSecret === true ? `${what} Secret.` : what,
    ]),
  );
  return ['| variable | read by | default | example | what it is |', '|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`.replaceAll(/ {2,}/g, ' ');
}
