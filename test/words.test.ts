import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// One word for one thing: each word of the glossary is explained once, and words that have meant several things are not used
// for another.

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const architecture = read('ARCHITECTURE.md');
const from = architecture.indexOf('## Words');
const glossary = architecture.slice(from, architecture.indexOf('\n## ', from + 1));
const words = [...glossary.matchAll(/\*\*([^*]+)\*\*/g)]
  .map(([, word]) => word!)
  .filter((word) => !word.endsWith('.'));

test('the glossary explains each word once', () => {
  expect(words.length).toBeGreaterThan(60);
  expect(words.filter((word, place) => words.indexOf(word) !== place)).toEqual([]);
});

/** Words that a page of the code cannot be read without. */
const needed =
  'app, notification, batch, push job, broadcast, lane, gateway, outcome, outcome report, run, span, segment, stretch, burst, suspect, place, position, index, share, letter, reading, ' +
  'ring, pump, room, taken, held, lost, lock, lease, backlog, announce, settle, verdict, try, totals, sums, evidence, checkpoint, probe, paused, slowed, trouble, retire';

test('the glossary has the words that the code needs', () => {
  expect(needed.split(', ').filter((word) => !words.includes(word))).toEqual([]);
});

const denied: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [
    /#(?:tell|told)\b|\btell(?=[A-Z(])|\btold(?=[A-Z])|\b(?:const|let) told\b/,
    'log, write, show, emit or record: say which',
  ],
  [/\btaken\.taken\b/, 'timesTaken'],
  [/\bspares\b *[:=;]/, 'reservedForOthers'],
  [/\bheldApps\b/, 'appsInDoubt'],
  [/(?:\/\/|\*) .*\bGives (?:how|what|whether|when|where|the (?:offset|number|id)|those)\b/, 'Returns'],
];

test('words that meant several things are not used for another', () => {
  const files = globSync(['apps/*/src/**/*.ts', 'packages/*/src/**/*.ts'], {
    cwd: root,
    exclude: ['**/node_modules/**', '**/dist/**', 'packages/push-queue/**'],
  });
  const found = files.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, place) =>
        denied
          .filter(([pattern]) => pattern.test(line))
          .map(([, instead]) => `${file}:${place + 1} ${line.trim()}: ${instead}`),
      ),
  );
  expect(found).toEqual([]);
});
