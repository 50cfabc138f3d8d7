import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type ReadChunksOptions, readChunks } from '../src/api/read-chunks.ts';

async function chunksOf(text: string, size: number, options?: ReadChunksOptions): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'chunks-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'file');
  await writeFile(path, text);
  const chunks: string[] = [];
  for await (const { bytes } of readChunks(path, 0, size, options)) chunks.push(bytes.toString());
  return chunks;
}

// Larger than what is read of a file at once.
const field = 'x'.repeat(200_000);

test('a file of CSV is never cut within quotes', async () => {
  const records = Array.from({ length: 6 }, (_, place) => `${place},"${field}\n${field} ""q"""\n`);
  const chunks = await chunksOf(records.join(''), 400_000, { quotes: true });
  expect(chunks.join('')).toBe(records.join(''));
  expect(chunks.length).toBeGreaterThan(1);
  for (const chunk of chunks) expect(chunk).toMatch(/^\d,"[\s\S]*"\n$/);
});

test('a quote that is one too many does not take the whole file into memory', async () => {
  const text = `"${`${field}\n`.repeat(20)}`;
  const chunks = await chunksOf(text, 200_000, { quotes: true });
  expect(chunks.join('')).toBe(text);
  expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThan(2_000_000);
});
