import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// The allowed imports: who may import whom. What is not named here is not allowed.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scope = '@pushfleet/';

/** apns-wire has entry points of its own for those who need no frames. */
const wireValues = ['apns-wire/answer', 'apns-wire/columns', 'apns-wire/payload', 'apns-wire/device-token'];
const wire = ['apns-wire', 'apns-wire/http2', ...wireValues];
const packages = [
  ...wire,
  'apns-client',
  'apns-credentials',
  'push-queue',
  'token-store',
  'client',
  'service-kit',
];

const allowedImports: Readonly<Record<string, readonly string[]>> = {
  'packages/apns-wire': [],
  'packages/apns-credentials': [],
  'packages/apns-client': [...wire, 'apns-credentials'],
  'packages/push-queue': wireValues,
  // Of the queue, only what the reports that it stores look like.
  'packages/token-store': [...wireValues, 'push-queue/report'],
  'packages/client': [],
  // Of the queue, only what its settings have to agree with.
  'packages/service-kit': ['push-queue/settings'],
  'packages/testkit': wire,
  'apps/producer': [...wireValues, 'push-queue', 'token-store', 'service-kit'],
  'apps/worker': ['apns-client', 'apns-credentials', 'push-queue', 'service-kit'],
  'apps/feedback-sweeper': ['apns-client', 'apns-credentials', 'push-queue', 'token-store', 'service-kit'],
  // A tool for tests itself.
  'apps/gateway-simulator': [...wire, 'apns-credentials', 'service-kit', 'testkit'],
  'apps/cli': [
    ...wireValues,
    'apns-client',
    'apns-credentials',
    'push-queue',
    'token-store',
    'client',
    'service-kit',
  ],
  benchmarks: [...packages, 'testkit'],
  ops: [],
  scripts: [...packages, 'testkit'],
  test: ['testkit'],
  examples: ['client', 'push-queue'],
};

/**
 * The folders of a package's `src`, and which of the others each may import; '' are the files beside them. `index.ts` may
 * import all.
 */
const allowedArrows: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'packages/apns-client': {
    transport: [],
    socket: ['transport'],
    binary: ['transport', 'socket'],
    http2: ['transport', 'socket'],
    channels: ['transport', 'socket', 'http2'],
    feedback: ['transport', 'socket'],
  },
  'packages/push-queue': {
    // Words that all of them use.
    '': [],
    redis: [''],
    'push-job': [''],
    control: ['', 'redis'],
    enqueue: ['', 'redis', 'push-job'],
    worker: ['', 'redis', 'push-job', 'control'],
    outcomes: ['', 'redis', 'push-job', 'control'],
    status: ['', 'redis', 'push-job', 'enqueue'],
  },
};

/** Libraries that a part must do without, so that it stays what ARCHITECTURE.md says it is. */
const forbiddenLibraries: Readonly<Record<string, readonly string[]>> = {
  'packages/apns-client': ['bullmq', 'ioredis', 'pg', 'prom-client', 'pino', 'fastify'],
  'packages/push-queue': ['pg', 'prom-client', 'pino', 'fastify'],
  'packages/client': ['bullmq', 'ioredis', 'pg'],
  'apps/worker': ['pg', 'pg-copy-streams', 'node-pg-migrate'],
};

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Import {
  /** Relative to the repository. */
  readonly file: string;
  readonly specifier: string;
  readonly inTest: boolean;
}

const workspaces = globSync(
  ['apps/*/package.json', 'packages/*/package.json', '{benchmarks,ops}/package.json'],
  {
    cwd: root,
  },
)
  .map((file) => dirname(file))
  .sort();

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest;
}

/** This file too: it holds examples. */
const exclude = ['**/node_modules/**', '**/dist/**', 'test/layout.test.ts'];

function importsOf(folder: string): Import[] {
  const files = globSync(`${folder}/**/*.{ts,mts,js,mjs}`, { cwd: root, exclude });
  return files.flatMap((file) => {
    const inTest = file.split(sep).includes('test') || /\.test\.ts$|vitest\.config\.ts$/.test(file);
    return [...specifiersIn(readFileSync(join(root, file), 'utf8'))].map((specifier) => ({
      file,
      specifier,
      inTest,
    }));
  });
}

/** Static and dynamic imports, re-exports, types included. */
function* specifiersIn(source: string): Generator<string> {
  const code = source.replace(/^\s*\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '');
  for (const match of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([@\w.#][\w@./:-]*)'/g)) yield match[1]!;
}

/** `@pushfleet/apns-wire/payload` → `apns-wire/payload` */
function importedWorkspace(specifier: string): string | undefined {
  return specifier.startsWith(scope) ? specifier.slice(scope.length) : undefined;
}

/** Every entry point of a package may be used where the package may; apns-wire's are told apart. */
function isAllowed(imported: string, allowed: readonly string[]): boolean {
  const [name = ''] = imported.split('/');
  return allowed.includes(imported) || (name !== 'apns-wire' && allowed.includes(name));
}

/** Files that import themselves, directly or through others. */
function circlesIn(imports: readonly { readonly file: string; readonly imported: string }[]): string[] {
  const importsByFile = new Map<string, string[]>();
  for (const { file, imported } of imports) {
    const list = importsByFile.get(file);
    if (list === undefined) importsByFile.set(file, [imported]);
    else list.push(imported);
  }
  return [...importsByFile.keys()].filter((start) => {
    const seen = new Set<string>();
    const left = [start];
    for (let file = left.pop(); file !== undefined; file = left.pop()) {
      for (const next of importsByFile.get(file) ?? []) {
        if (next === start) return true;
        if (seen.has(next)) continue;
        seen.add(next);
        left.push(next);
      }
    }
    return false;
  });
}

test('import specifiers are found in every form', () => {
  const source = [
    `import a from '@pushfleet/a';`,
    `import type { B } from '@pushfleet/b';`,
    `import {\n  c,\n} from '@pushfleet/c';`,
    `import '@pushfleet/d';`,
    `const e = await import('@pushfleet/e');`,
    `export * from '@pushfleet/f';`,
    `// import x from 'commented-out'`,
    `/* import y from 'commented-out' */`,
  ].join('\n');
  expect([...specifiersIn(source)].map((name) => name.replace(scope, '')).join('')).toBe('abcdef');
});

test('every workspace stands in the table', () => {
  expect(workspaces.length).toBeGreaterThan(10);
  expect(workspaces.filter((folder) => !(folder in allowedImports))).toEqual([]);
});

describe.each(Object.entries(allowedImports))('%s', (folder, allowed) => {
  const own = workspaces.includes(folder) ? readManifest(folder).name.slice(scope.length) : '';
  const imports = importsOf(folder);

  test('imports only what the table allows', () => {
    const offences = imports.filter(({ specifier, inTest }) => {
      const imported = importedWorkspace(specifier);
      if (imported === undefined) return false;
      const [name] = imported.split('/');
      // Tests see their own workspace from outside, and every test may use the testkit.
      if (inTest && (name === own || name === 'testkit')) return false;
      return !isAllowed(imported, allowed);
    });
    expect(offences).toEqual([]);
  });

  test('reaches no other workspace by a relative path', () => {
    const offences = imports.filter(({ file, specifier }) => {
      if (!specifier.startsWith('.')) return false;
      return relative(join(root, folder), resolve(root, dirname(file), specifier)).startsWith('..');
    });
    expect(offences).toEqual([]);
  });

  if (!workspaces.includes(folder)) return;

  test('declares only what the table allows', () => {
    const { dependencies = {}, devDependencies = {} } = readManifest(folder);
    const mayDepend = (imported: string): boolean =>
      allowed.some((entry) => entry.split('/')[0] === imported);
    const workspacesIn = (declared: object): string[] =>
      Object.keys(declared).flatMap((name) => importedWorkspace(name) ?? []);
    expect(workspacesIn(dependencies).filter((name) => !mayDepend(name))).toEqual([]);
    expect(workspacesIn(devDependencies).filter((name) => name !== 'testkit' && !mayDepend(name))).toEqual(
      [],
    );
  });

  const forbidden = forbiddenLibraries[folder];
  if (forbidden === undefined) return;

  test('does without the libraries that are not its business', () => {
    const used = imports.filter(({ inTest }) => !inTest).map(({ specifier }) => specifier);
    const declared = Object.keys(readManifest(folder).dependencies ?? {});
    expect([...used, ...declared].filter((name) => forbidden.includes(name))).toEqual([]);
  });
});

describe.each(Object.entries(allowedArrows))('%s/src', (folder, arrows) => {
  const source = join(folder, 'src');
  const imports = importsOf(source).flatMap(({ file, specifier }) =>
    specifier.startsWith('.') ? [{ file, imported: join(dirname(file), specifier) }] : [],
  );
  const roomOf = (file: string): string => relative(source, file).split(sep).slice(0, -1)[0] ?? '';

  test('its folders import each other only as the table allows', () => {
    const ofRooms = imports.filter(({ file }) => relative(source, file) !== 'index.ts');
    const rooms = new Set(ofRooms.map(({ file }) => roomOf(file)));
    expect([...rooms].sort()).toEqual(Object.keys(arrows).sort());
    const offences = ofRooms.filter(({ file, imported }) => {
      const [from, to] = [roomOf(file), roomOf(imported)];
      const isIndex = relative(source, imported) === 'index.ts';
      return isIndex || (from !== to && !(arrows[from] ?? []).includes(to));
    });
    expect(offences).toEqual([]);
  });

  test('no file imports itself through others, types included', () => {
    expect(circlesIn(imports)).toEqual([]);
  });
});

test('circles of imports are found', () => {
  const imports = ['a>b', 'b>c', 'c>b', 'c>d', 'e>e'].map((arrow) => {
    const [file, imported] = arrow.split('>') as [string, string];
    return { file, imported };
  });
  expect(circlesIn(imports)).toEqual(['b', 'c', 'e']);
});

test('apns-wire imports nothing but its own files, and has no dependency', () => {
  const foreign = importsOf('packages/apns-wire').filter(
    ({ specifier, inTest }) => !inTest && !specifier.startsWith('.'),
  );
  expect(foreign).toEqual([]);
  expect(Object.keys(readManifest('packages/apns-wire').dependencies ?? {})).toEqual([]);
});

test('BullMQ is imported by its adapter, and by what shows its queues as they are', () => {
  const importers = ['apps', 'packages', 'scripts', 'examples']
    .flatMap((folder) => importsOf(folder))
    .filter(({ specifier, inTest }) => !inTest && /^bullmq(?:\/|$)/.test(specifier))
    .map(({ file }) => file);
  expect(importers).toEqual([
    'apps/producer/src/board/queue-board.ts',
    'packages/push-queue/src/redis/bullmq.ts',
  ]);
});

test('nobody imports an app', () => {
  const apps = workspaces
    .filter((folder) => folder.startsWith('apps/'))
    .map((folder) => readManifest(folder).name);
  expect(apps.length).toBeGreaterThan(3);
  const offences = Object.keys(allowedImports)
    .flatMap((folder) => importsOf(folder))
    .filter(({ specifier }) => apps.some((app) => specifier === app || specifier.startsWith(`${app}/`)));
  expect(offences).toEqual([]);
});
