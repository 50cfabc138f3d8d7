import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { faultsBodySchema } from '../src/faults/fault-schema.ts';
import { usage } from '../src/options.ts';

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```json\n(\{"rules"[\s\S]*?)```/g)].map(([, body]) => body!);

test('every example of a fault is one', () => {
  expect(examples.length).toBe(4);
  for (const example of examples) {
    expect(faultsBodySchema.safeParse(JSON.parse(example)).error, example).toBeUndefined();
  }
});

test('every fault that is not of every port has its example', () => {
  const kinds = new Set([...readme.matchAll(/"kind":"(\w+)"/g)].map(([, kind]) => kind));
  const binary = ['reject', 'shutdown', 'ignoreDefects', 'mute', 'stopReading', 'slowReading'];
  const feedback = ['cut', 'hang', 'slice', 'reset'];
  const http2 = [
    'respond',
    'delay',
    'hang',
    'resetStream',
    'malformed',
    'goaway',
    'dropPings',
    'streamLimit',
  ];
  expect([...binary, ...feedback, ...http2].filter((kind) => !kinds.has(kind))).toEqual([]);
});

test('flags that it names exist', () => {
  const named = new Set([...readme.matchAll(/`(--[a-z0-9-]+)/g)].map(([, flag]) => flag!));
  expect([...named].filter((flag) => !usage.includes(flag))).toEqual([]);
});
