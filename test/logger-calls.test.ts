import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Every call of a logger in the sources, read from them: an error goes under `err`, where its closed list is written;
// no job, command, request or body goes anywhere; and what is said is a constant.

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface LoggerCall {
  readonly place: string;
  readonly source: string;
  readonly args: readonly string[];
}

const callStart =
  /(?<![\w.])(?:[\w.#?!]+\.)?#?log(?:ger)?[?!]?(?:\.(?:trace|debug|info|warn|error|fatal)|\[[^\]]*\])\(/g;

function callsOf(file: string, source: string): LoggerCall[] {
  return [...source.matchAll(callStart)].map((match) => {
    const start = match.index + match[0].length;
    const line = source.slice(0, match.index).split('\n').length;
    return { place: `${file}:${line}`, source, args: argumentsAt(source, start) };
  });
}

/** Top-level parts of what stands between brackets, from just behind the opening one. */
function argumentsAt(source: string, start: number): string[] {
  const args: string[] = [];
  let depth = 0;
  let from = start;
  let quote: string | undefined;
  for (let at = start; at < source.length; at++) {
    const character = source[at]!;
    if (quote !== undefined) {
      if (character === '\\') at += 1;
      else if (character === quote) quote = undefined;
    } else if (/['"`]/.test(character)) quote = character;
    else if (/[({[]/.test(character)) depth += 1;
    else if (/[)}\]]/.test(character)) {
      if (depth === 0) {
        args.push(source.slice(from, at).trim());
        return args.filter((text) => text !== '');
      }
      depth -= 1;
    } else if (character === ',' && depth === 0) {
      args.push(source.slice(from, at).trim());
      from = at + 1;
    }
  }
  throw new Error('a bracket is not closed');
}

const thrown = /^(?:err|error|cause|e|ex|exception|thrown|failure)$/;
const whole =
  /^(?:job|jobs|command|args|data|body|payloads?|tokens?|notifications?|request|response|reply|headers?|config|env|url|options|letter|letters|record|entry\.raw)$/;

/** What is wrong with an object of fields, as it is written. */
function defectsOf(object: string, source: string): string[] {
  const fields = argumentsAt(object, 1);
  return fields.flatMap((field) => {
    const spread = /^\.\.\.(.+)$/s.exec(field)?.[1];
    if (spread !== undefined) return /^[\w.?]+$/.test(spread) ? definedDefects(spread, source) : [];
    const [, name = '', value = name] = /^(\w+)(?::\s*(.+))?$/s.exec(field) ?? [];
    if (thrown.test(value) && name !== 'err' && !isText(name, value, source))
      return [`${name} holds an error`];
    if (whole.test(value)) return isCount(value, source) ? [] : [`${name} holds a whole ${value}`];
    return [];
  });
}

/** A variable that is known to be text: a parameter or property declared so. */
function isText(name: string, value: string, source: string): boolean {
  return name === 'reason' && new RegExp(`for \\(const \\{[^}]*\\b${value}\\b[^}]*\\} of`).test(source);
}

/** A number of them is no secret. */
function isCount(value: string, source: string): boolean {
  return new RegExp(`\\b${value}: number\\b`).test(source);
}

/** Fields that were put together before. */
function definedDefects(name: string, source: string): string[] {
  const bare = name.replace(/^.*\./, '').replace('?', '');
  const definitions = [...source.matchAll(new RegExp(`const ${bare}(?:: [^=]+)? = \\{`, 'g'))];
  return definitions.flatMap(({ index, 0: text }) => {
    const start = index + text.length;
    return defectsOf(`{${argumentsAt(source, start).join(', ')}}`, source);
  });
}

function defectsIn({ args, source }: LoggerCall): string[] {
  const [first = '', message, ...more] = args;
  const isConstant = (text: string) => /^(?:[^?`]+\?\s*'[^']*'\s*:\s*)?'(?:[^'\\]|\\.)*'$/s.test(text);
  if (message === undefined) return isConstant(first) ? [] : ['says what is no constant'];
  const said = isConstant(message) && more.length === 0 ? [] : ['says what is no constant'];
  if (thrown.test(first)) return [...said, 'passes an error by itself'];
  if (first.startsWith('{')) return [...said, ...defectsOf(first, source)];
  return [...said, ...definedDefects(first, source)];
}

const files = globSync(['apps/*/src/**/*.ts', 'packages/*/src/**/*.ts'], { cwd: root }).filter(
  (file) => !file.startsWith('packages/testkit') && !file.includes('gateway-simulator'),
);
const calls = files.flatMap((file) => callsOf(file, readFileSync(join(root, file), 'utf8')));

test('every logger call is found', () => {
  expect(calls.length).toBeGreaterThan(60);
});

test.each(calls.map((call) => [call.place, call] as const))(
  'the logger call at %s passes no error but as err, no whole object, and a constant message',
  (_place, call) => {
    expect(defectsIn(call)).toEqual([]);
  },
);

test.each<[call: string, defect: string]>([
  ["logger.warn({ error }, 'it fails')", 'error holds an error'],
  ["logger.warn({ reason: cause }, 'it fails')", 'reason holds an error'],
  ["logger.warn(error, 'it fails')", 'passes an error by itself'],
  ["logger.info({ app, job }, 'taken')", 'job holds a whole job'],
  ["logger.info({ command: each.command, data }, 'sent')", 'data holds a whole data'],
  ["const facts = { app, payload };\nthis.#logger.info(facts, 'sent')", 'payload holds a whole payload'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program's text.
  ['logger.info({ app }, `sent to ${token}`)', 'says what is no constant'],
  ["this.#options.logger[isAway ? 'debug' : 'error']({ error }, 'it fails')", 'error holds an error'],
])('%s is found out', (source, defect) => {
  expect(callsOf('x.ts', source).flatMap(defectsIn)).toEqual([defect]);
});

test('services write to their output through the logger alone', () => {
  const services = files.filter((file) =>
    /^apps\/(?:producer|worker|feedback-sweeper)|^packages\//.test(file),
  );
  const writing = services.filter((file) =>
    /\bconsole\.|process\.(?:stdout|stderr)\.write/.test(readFileSync(join(root, file), 'utf8')),
  );
  // Its `--help`, and what is wrong with its arguments; a program of its own, which an engine asks whether all is well.
  expect(writing.toSorted()).toEqual([
    'apps/feedback-sweeper/src/main.ts',
    'packages/service-kit/src/health-check.ts',
  ]);
});
