import { globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { postgresImage, redisImage } from '@pushfleet/testkit';
import { expect, test } from 'vitest';

test('tests in containers use the images of docker-compose.yml', () => {
  const compose = readFileSync(new URL('../docker-compose.yml', import.meta.url), 'utf8');
  const images = [...compose.matchAll(/^\s*image: (\S+)$/gm)].map(([, image]) => image);
  expect(images).toEqual(expect.arrayContaining([redisImage, postgresImage]));
});

test('the image is built with the manifest of every workspace', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const dockerfile = readFileSync(`${root}Dockerfile`, 'utf8');
  const manifests = globSync('{apps,packages}/*/package.json', { cwd: root }).concat(
    globSync('{benchmarks,ops}/package.json', { cwd: root }),
  );
  const missing = manifests.filter((file) => !dockerfile.includes(`COPY ${file} ${dirname(file)}/\n`));
  expect(missing).toEqual([]);
});
