import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { operations } from '../src/index.ts';
import { type ApiDocument, generateTypes } from './generate-types.ts';

const documentFile = fileURLToPath(new URL('../../../docs/openapi.json', import.meta.url));
const typesFile = fileURLToPath(new URL('../src/api-types.ts', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));
const document = JSON.parse(readFileSync(documentFile, 'utf8')) as ApiDocument;

function format(source: string): string {
  const biome = fileURLToPath(new URL('../../../node_modules/@biomejs/biome/bin/biome', import.meta.url));
  const args = [biome, 'format', '--stdin-file-path=packages/client/src/api-types.ts'];
  return execFileSync(process.execPath, args, { cwd: root, input: source, encoding: 'utf8' });
}

test('the types are those of the OpenAPI document (UPDATE_API_TYPES=1 writes them)', () => {
  const types = format(generateTypes(document));
  if (process.env.UPDATE_API_TYPES === '1') writeFileSync(typesFile, types);
  expect(readFileSync(typesFile, 'utf8')).toBe(types);
});

test('the client has every operation of the document, and no other', () => {
  const known = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect([...operations].toSorted()).toEqual(known.toSorted());
});
