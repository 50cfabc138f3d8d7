import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// The scripts that Redis runs lie in files of their own. Each says at its head what it is run with, line by line:
//
//   -- KEYS[1]  job       a key, and what it is where the name does not say it
//   -- ARGV[1]  token     an argument
//   -- ARGV[+]  rises     any number more
//
// and gives each that has a place of its own its name before it does anything.

const root = fileURLToPath(new URL('..', import.meta.url));
const exclude = ['**/node_modules/**', '**/dist/**'];
const files = globSync('{packages,apps,benchmarks,ops}/**/*.lua', { cwd: root, exclude });
const scripts = files.filter((file) => !file.includes('/include/'));

interface Head {
  /** Those with a place of their own. */
  readonly fixed: readonly string[];
  readonly hasMore: boolean;
}

function headOf(text: string, list: 'KEYS' | 'ARGV'): Head {
  const fixed: string[] = [];
  let hasMore = false;
  for (const [line, at, name] of text.matchAll(new RegExp(`^-- ${list}\\[(\\d+|\\+)\\] +(\\w+).*`, 'gm'))) {
    if (at === '+') {
      hasMore = true;
      continue;
    }
    expect([hasMore, Number(at)], line).toEqual([false, fixed.length + 1]);
    fixed.push(name!);
  }
  return { fixed, hasMore };
}

test('scripts are found', () => {
  expect(scripts.length).toBeGreaterThan(25);
});

describe.each(scripts)('%s', (file) => {
  const text = readFileSync(join(root, file), 'utf8');
  const code = text.replaceAll(/--.*$/gm, '');

  test('says at its head what it does', () => {
    expect(text).toMatch(/^(?:#!lua flags=allow-oom\n)?-- [A-Z]/);
  });

  test.each(['KEYS', 'ARGV'] as const)('names exactly the %s that it uses', (list) => {
    const { fixed, hasMore } = headOf(text, list);
    const range = hasMore ? `, 1, ${fixed.length}` : '';
    const named = new RegExp(`^local ([\\w, ]+?) =\\s+unpack\\(${list}${range}\\)$`, 'm').exec(code);
    expect(named?.[1]?.split(', ') ?? []).toEqual(fixed);
    const rest = code.replace(named?.[0] ?? '', '');
    for (const name of fixed) expect(rest, `use of ${name}`).toMatch(new RegExp(`\\b${name}\\b`));
    expect(rest.includes(list), `use of ${list} by place`).toBe(hasMore);
    const places = [...rest.matchAll(new RegExp(`\\b${list}\\[(\\d+)\\]`, 'g'))].map(([, at]) => Number(at));
    expect(places.filter((at) => at <= fixed.length)).toEqual([]);
  });
});

test('no script lies in a file of TypeScript', () => {
  const sources = globSync('{packages,apps,benchmarks,ops}/**/src/**/*.ts', { cwd: root, exclude });
  expect(sources.length).toBeGreaterThan(300);
  const offences = sources.filter((file) => /redis\.p?call\(/.test(readFileSync(join(root, file), 'utf8')));
  expect(offences).toEqual([]);
});
