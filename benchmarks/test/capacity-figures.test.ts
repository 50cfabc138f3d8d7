import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { capacityFile, capacityModule } from '../src/capacity-figures.ts';

test('pushfleet capacity reckons with what was measured (node benchmarks/src/write-capacity.ts writes it)', async () => {
  expect(await readFile(capacityFile, 'utf8')).toBe(await capacityModule());
});
