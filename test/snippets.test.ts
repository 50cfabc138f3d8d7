import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askPostgres, type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { checkTypes } from './snippets/check-types.ts';
import { commandsNotRun, languagesNotRun, runElsewhere } from './snippets/not-run.ts';
import { openPlayground, type Playground } from './snippets/open-playground.ts';
import { commandsOf, readSnippets, type Snippet } from './snippets/read-snippets.ts';

// Every fenced block of every document, as it stands there: shell is run in order against the playground of
// `npm run demo -- --keep`, TypeScript is type-checked and what sends is run, SQL is run, YAML and JSON are given to
// whom they are meant for. What cannot be run here stands in snippets/not-run.ts.

const root = fileURLToPath(new URL('..', import.meta.url));
const snippets = readSnippets(root);
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts;
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  services: Record<string, { profiles?: string[] }>;
};
const usedEntries = new Set<string>();
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
    { timeout: 200_000 },
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
  const commands = commandsOf(text).filter((command) => {
    checkNames(command);
    const entry = Object.keys(commandsNotRun).find((start) => command.trimStart().startsWith(start));
    if (entry !== undefined) usedEntries.add(entry);
    return entry === undefined;
  });
  if (commands.length === 0) return;
  const { code, output } = await playground.runShell(commands.join('\n'), block.document);
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
}

/** Scripts of npm, services and profiles of Compose, whether the command is run or not. */
function checkNames(command: string): void {
  for (const [, script = ''] of command.matchAll(/\bnpm run (?:-s |--silent )?([\w:]+)/g)) {
    expect(Object.keys(scripts)).toContain(script);
  }
  for (const [, line = ''] of command.matchAll(/docker compose ([^|#&]*)/g)) {
    const profiles = Object.values(compose.services).flatMap((service) => service.profiles ?? []);
    for (const [, profile = ''] of line.matchAll(/--profile ([\w-]+)/g)) expect(profiles).toContain(profile);
    const [, service] = /\b(?:run|exec)(?: -\S+| --\S+)* ([a-z][\w-]*)/.exec(line) ?? [];
    const [, scaled] = /\bscale ([a-z][\w-]*)=/.exec(line) ?? [];
    for (const name of [service, scaled]) {
      if (name !== undefined) expect(Object.keys(compose.services)).toContain(name);
    }
  }
  const [, folder] = /kubectl apply -k (\S+)/.exec(command) ?? [];
  // A folder of the reader's own is not there.
  if (folder !== undefined && existsSync(join(root, folder))) {
    expect(globSync(join(root, folder, 'kustomization.yaml'))).toHaveLength(1);
  }
}

async function runTypeScript(text: string, block: Snippet): Promise<void> {
  expect(typeErrors.get(programName(block))).toEqual([]);
  if (!/@pushfleet\/(client|push-queue)'/.test(text)) return;
  const { code, output } = await playground.runProgram(text);
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}`);
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

/** Rules of the simulator are given to it; the rest is output. */
/** Faults go to a simulator of their own: what the playground sends meanwhile is not to meet them. */
async function checkJson(text: string): Promise<void> {
  const value = JSON.parse(text) as { rules?: object[] };
  if (value.rules === undefined) return;
  await simulator.control.faults({ rules: value.rules });
}

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

test('the tables of what is not run name nothing that is not there', () => {
  const entries = [languagesNotRun, commandsNotRun, runElsewhere].flatMap((table) => Object.keys(table));
  expect(entries.filter((entry) => !usedEntries.has(entry))).toEqual([]);
});
