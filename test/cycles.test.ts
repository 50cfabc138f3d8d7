import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Files import each other in one direction, types included, so that each can be read after those it imports.

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The files that each file of a folder imports, relative to the repository. */
function readImports(folder: string): ReadonlyMap<string, readonly string[]> {
  const files = globSync(`${folder}/**/*.ts`, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] });
  return new Map(
    files.map((file) => {
      const code = readFileSync(join(root, file), 'utf8').replace(/^\s*\/\/.*$/gm, '');
      const specifiers = [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g)].map(([, to]) => to!);
      return [file, specifiers.map((to) => relative(root, resolve(root, dirname(file), to)))];
    }),
  );
}

/** Every cycle once, as the files on it, from the first by name. */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles = new Set<string>();
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    const at = path.indexOf(file);
    if (at >= 0) {
      const cycle = path.slice(at);
      const first = cycle.indexOf([...cycle].sort()[0]!);
      cycles.add([...cycle.slice(first), ...cycle.slice(0, first)].join(' → '));
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const next of imports.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return [...cycles];
}

test('a cycle is found, once, wherever it is entered', () => {
  const imports = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', ['b']],
  ]);
  expect(findCycles(imports)).toEqual(['a → b → c']);
  expect(findCycles(new Map([...imports, ['c', []]]))).toEqual([]);
});

const folders = [
  'apps/producer/src',
  'apps/worker/src',
  'apps/feedback-sweeper/src',
  'apps/gateway-simulator/src',
  'apps/cli/src',
  'packages/apns-client/src',
  'packages/apns-credentials/src',
  'packages/apns-wire/src',
  'packages/push-queue/src',
  'packages/token-store/src',
  'packages/client/src',
  'packages/service-kit/src',
  'packages/testkit/src',
  'benchmarks/src',
  'ops/src',
  'scripts',
];

test.each(folders)('the files of %s import each other in one direction', (folder) => {
  const imports = readImports(folder);
  expect(imports.size).toBeGreaterThan(3);
  expect(findCycles(imports)).toEqual([]);
});

test('a folder of the worker imports only those that stand below it in ARCHITECTURE.md', () => {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const order = [...page.matchAll(/^(\w+)\/ {2,}\S/gm)].map(([, folder]) => folder!);
  expect(order).toContain('standing');
  const folderOf = (file: string) => relative('apps/worker/src', dirname(file));
  const upward = [...readImports('apps/worker/src')].flatMap(([file, imported]) => {
    const from = order.indexOf(folderOf(file));
    // The files at the top put the folders together; what these import of them is of no folder.
    if (from < 0) return folderOf(file) === '' ? [] : [`${file} is in no folder of the map`];
    return imported.filter((to) => folderOf(to) !== '' && order.indexOf(folderOf(to)) < from);
  });
  expect(upward).toEqual([]);
});
