import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askPostgres, type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { NameChecker } from './snippets/check-names.ts';
import { checkTypes } from './snippets/check-types.ts';
import { openPlayground, type Playground } from './snippets/open-playground.ts';
import { commandsOf, readInlineCommands, readSnippets, type Snippet } from './snippets/read-snippets.ts';
import { languagesNotRun, runElsewhere, standInOf, standIns } from './snippets/stand-ins.ts';

// Every fenced block of every document, as it stands there, by an ordinary user with the system's Node.js: shell is run
// in order against the playground of `npm run demo -- --keep`, TypeScript is type-checked and what sends is run, SQL is
// run, YAML and JSON are given to the program that reads them. What cannot be run as it stands is in
// snippets/stand-ins.ts, with what is run in its place.

const root = fileURLToPath(new URL('..', import.meta.url));
const snippets = readSnippets(root);
const names = new NameChecker(root);
const { webhooks } = JSON.parse(readFileSync(join(root, 'docs/openapi.json'), 'utf8')) as {
  readonly webhooks: Readonly<Record<string, WebhookDescription>>;
};
interface WebhookDescription {
  readonly post: {
    readonly requestBody: {
      readonly content: {
        readonly 'application/json': {
          readonly schema: {
            readonly properties: { readonly data: { readonly required: readonly string[] } };
          };
        };
      };
    };
  };
}

const usedEntries = new Set<string>();
const alreadyRun = new Set<string>();
let playground: Playground;
let simulator: Simulator;
let typeErrors: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  const programs = snippets.filter(({ language }) => language === 'ts');
  [playground, simulator, typeErrors] = await Promise.all([
    openPlayground(root),
    startSimulator(),
    checkTypes(root, new Map(programs.map((program) => [programName(program), program.text]))),
  ]);
}, 240_000);
afterAll(async () => Promise.all([playground?.stop(), simulator?.stop()]), 60_000);

function nameOf({ document, line, language }: Snippet): string {
  return `${document}:${line} ${language}`;
}

test('what the last screen of the playground tells to try', { timeout: 200_000 }, async () => {
  const { commands } = playground;
  expect(commands.length).toBeGreaterThan(7);
  const { code, output } = await playground.runShell(commands.join('\n'), 'screen');
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
  // One for each of the ends that a good day does not show.
  for (const word of [
    '1 accepted',
    'rejected',
    'dead',
    'processing-error',
    'cancellation requested',
    'queued',
  ]) {
    expect(output).toContain(word);
  }
  expect(output).toContain('"type": "notifications.rejected"');
});

const documents = [...Map.groupBy(snippets, ({ document }) => document)];

describe.each(documents)('%s', (document, blocks) => {
  const elsewhere = (language: string) => runElsewhere[`${document} ${language}`];

  test.each(blocks.map((block) => [nameOf(block), block] as const))(
    '%s',
    { timeout: 300_000 },
    async (_, block) => {
      const { language, text } = block;
      const other = elsewhere(language);
      if (other !== undefined) {
        usedEntries.add(`${document} ${language}`);
        expect(readFileSync(join(root, other), 'utf8')).toContain(basename(document));
        return;
      }
      if (languagesNotRun[language] !== undefined) {
        usedEntries.add(language);
        return;
      }
      const check = checks[language];
      if (check === undefined) throw new Error(`nobody knows how ${language} is run: test/snippets.test.ts`);
      await check(text, block);
    },
  );
});

const checks: Readonly<Record<string, (text: string, block: Snippet) => Promise<void> | void>> = {
  sh: runShell,
  ts: runTypeScript,
  sql: async (text) => {
    // As the documents say, what is granted may be granted again.
    for (let times = 0; times < 2; times++) await askPostgres(playground.env.DATABASE_URL!, text);
  },
  yaml: checkYaml,
  json: checkJson,
};

async function runShell(text: string, block: Snippet): Promise<void> {
  // Words in pointed brackets stand for something of the reader's own.
  execFileSync('bash', ['-n'], { input: text.replaceAll(/<\w+>/g, 'x') });
  const commands: string[] = [];
  for (const command of commandsOf(text)) {
    const [start, standIn] = standInOf(command) ?? [];
    if (start !== undefined) usedEntries.add(start);
    const instead = standIn === undefined ? command : standIn.run?.(command);
    const isHelp = instead?.endsWith(' --help') === true && instead !== command;
    const help = isHelp ? (await playground.runShell(instead, block.document)).output : undefined;
    expect(await names.problems(command, help)).toEqual([]);
    // A stand-in for several commands is run once.
    if (instead === undefined || isHelp) continue;
    if (standIn === undefined || !alreadyRun.has(instead)) commands.push(instead);
    if (standIn !== undefined) alreadyRun.add(instead);
  }
  if (commands.length === 0) return;
  const { code, output } = await playground.runShell(commands.join('\n'), block.document);
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
}

async function runTypeScript(text: string, block: Snippet): Promise<void> {
  expect(typeErrors.get(programName(block))).toEqual([]);
  if (!/@pushfleet\/(client|push-queue)'/.test(text)) return;
  const runs = [playground.runProgram];
  // Whoever has the client alone needs no Node.js as new as ours.
  if (!/@pushfleet\/(?!client')/.test(text)) runs.push(playground.runClientProgram);
  for (const run of runs) {
    const { code, output } = await run(text);
    if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
  }
}

function programName({ document, line }: Snippet): string {
  return `${document.replaceAll(/\W/g, '-')}-${line}`;
}

async function checkYaml(text: string): Promise<void> {
  const [document] = parseAllDocuments(text);
  expect(document!.errors).toEqual([]);
  if (!text.startsWith('apps:')) return;
  // Everything else is right when only the app is missing.
  const { output } = await playground.runShell(
    `cat > snippet.yaml <<'END'\n${text}END\npushfleet credentials check --app none --config snippet.yaml --json || true`,
    'yaml',
  );
  expect(output).toContain('"app-unknown"');
}

/**
 * Rules of the simulator are given to one of their own: the playground's is not to meet faults. Events of webhooks have
 * the fields that the API's description requires; the rest is output.
 */
async function checkJson(text: string): Promise<void> {
  const value = JSON.parse(text) as {
    readonly rules?: object[];
    readonly type?: string;
    readonly data?: object;
  };
  if (value.rules !== undefined) await simulator.control.faults({ rules: value.rules });
  const event = webhooks[value.type ?? '']?.post.requestBody.content['application/json'].schema.properties;
  if (event === undefined) return;
  expect(Object.keys(value).sort()).toEqual(['data', 'timestamp', 'type']);
  expect(Object.keys(value.data ?? {}).sort()).toEqual([...event.data.required].sort());
}

test.each(readInlineCommands(root).map((command) => [command] as const))(
  'what `%s` names is there',
  { timeout: 120_000 },
  async (command) => {
    expect(await names.problems(command)).toEqual([]);
  },
);

test('no two documents use the same idempotency key', () => {
  const keys = snippets.flatMap(({ document, text }) =>
    [...text.matchAll(/idempotency-?key:? ['"]?([\w/-]+)/gi)].map(([, key = '']) => ({ document, key })),
  );
  for (const file of globSync('examples/*.ts', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, key = ''] of text.matchAll(/idempotencyKey: '([^']+)'/g))
      keys.push({ document: file, key });
  }
  expect(keys.length).toBeGreaterThan(2);
  const shared = [...Map.groupBy(keys, ({ key }) => key)].filter(([, uses]) => uses.length > 1);
  expect(shared).toEqual([]);
});

test('no example needs an app, a user or a tag that neither the playground nor its own document makes', () => {
  const readme = readFileSync(join(root, 'docs/README.md'), 'utf8');
  const apps = [...readme.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, app]) => app!);
  expect(apps).toContain('shop-prod');
  // scripts/demo/playground.ts registers a device of each.
  const made = { app: new Set(apps), user: new Set(['anna']), tag: new Set(['vip']) };
  const uses = {
    app: /(?:"app":|\bapp:|--app|[?&]app=) ?['"]?([a-z][\w-]*)/g,
    user: /(?:"userId":|\buserId:|--user) ?['"]?([a-z][\w-]*)/g,
    tag: /(?:"tags":|--tag) ?['"]?([a-z][\w-]*)/g,
  };
  const missing = Object.entries(Object.groupBy(snippets, ({ document }) => document)).flatMap(
    ([document, blocks = []]) => {
      const text = blocks
        .filter(({ language }) => ['sh', 'ts'].includes(language))
        .map((block) => block.text)
        .join('\n');
      const registered = text.matchAll(/-X PUT \S+\/v1\/devices[\s\S]*?-d '([^']*)'/g);
      const own = [...registered].map(([, body]) => body!).join('\n');
      return Object.entries(uses).flatMap(([kind, pattern]) =>
        [...text.matchAll(pattern)]
          .map(([, name]) => name!)
          .filter((name) => !made[kind as keyof typeof made].has(name) && !own.includes(`"${name}"`))
          .map((name) => `${document}: ${kind} ${name}`),
      );
    },
  );
  expect(missing).toEqual([]);
});

test('every stand-in stands for something', () => {
  const entries = [languagesNotRun, standIns, runElsewhere].flatMap((table) => Object.keys(table));
  expect(entries.filter((entry) => !usedEntries.has(entry))).toEqual([]);
});
