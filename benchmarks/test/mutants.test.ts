import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mutants } from '../src/chaos/mutants.ts';

test.each(mutants)('the place to plant is there once: $name', ({ file, find, replace }) => {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  expect(text.split(find)).toHaveLength(2);
  expect(replace).not.toBe(find);
});
