import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Edge {
  readonly kind: string;
  readonly case: string;
  readonly file: string;
  /** Of the test, or of its row. */
  readonly name: string;
}

function readEdges(): Edge[] {
  const edges: Edge[] = [];
  let kind = '';
  for (const line of readFileSync(join(root, 'docs', 'edges.md'), 'utf8').split('\n')) {
    if (line.startsWith('## ')) kind = line.slice(3);
    if (!line.startsWith('| ') || line === '| case | right | test |') continue;
    const [, text, file, name] = /^\| (.+) \| .+ \| `([^`]+)`: (.+) \|$/.exec(line) ?? [];
    edges.push({ kind, case: text ?? line, file: file ?? '', name: name ?? '' });
  }
  return edges;
}

const edges = readEdges();

test('each kind has its cases', () => {
  const kinds = Map.groupBy(edges, ({ kind }) => kind);
  expect(kinds.size).toBe(11);
  for (const [kind, cases] of kinds) expect(cases.length, kind).toBeGreaterThanOrEqual(5);
});

test.each(edges)('$kind: $case', ({ file, name }) => {
  expect(existsSync(join(root, file)), file).toBe(true);
  const source = readFileSync(join(root, file), 'utf8');
  // It stands in quotes: as the name of a test, or of a row, or a part of one.
  const isThere = source
    .split('\n')
    .some((line) => line.includes(name) && /['"`]/.test(line) && !/^\s*(?:\/\/|\*)/.test(line));
  expect(isThere, `${file} has no test of the name ${name}`).toBe(true);
});
