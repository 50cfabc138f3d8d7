import { appendFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type CleanRates, checkRow } from './gateways/check-row.ts';
import { rows } from './gateways/rows.ts';
import type { RowResult } from './gateways/run-row.ts';
import { createFiles, runRow } from './gateways/run-row.ts';

// Gateways in trouble, a row each, against the real worker: whatever is not a notification's own costs it nothing. What
// each row must keep stands beside it; `TABLE_FILE` names a file for the figures, one row a line.

const timeoutMs = 120_000;
let files: Awaited<ReturnType<typeof createFiles>>;
const clean: Record<'binary' | 'http2', number> = { binary: 0, http2: 0 };

beforeAll(async () => {
  files = await createFiles();
});
afterAll(async () => files.remove());

async function run(row: (typeof rows)[number]): Promise<RowResult> {
  const result = await runRow(row, files, inject('redisUrl'), inject('redisPrefix'));
  const file = process.env.TABLE_FILE;
  if (file !== undefined) await appendFile(file, `${JSON.stringify(result)}\n`);
  return result;
}

/** Rates that rows are compared with. */
async function cleanRates(): Promise<CleanRates> {
  for (const row of rows)
    if (row.name === 'clean' && clean[row.transport] === 0) clean[row.transport] = (await run(row)).rate;
  expect(Math.min(clean.binary, clean.http2)).toBeGreaterThan(0);
  return clean;
}

test.each(rows.map((row) => [`${row.transport}: ${row.name}`, row] as const))(
  '%s',
  async (_, row) => {
    const rates = await cleanRates();
    checkRow(row, await run(row), rates);
  },
  timeoutMs,
);
