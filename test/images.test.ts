import { readFileSync } from 'node:fs';
import { postgresImage, redisImage } from '@pushfleet/testkit';
import { expect, test } from 'vitest';

test('tests in containers use the images of docker-compose.yml', () => {
  const compose = readFileSync(new URL('../docker-compose.yml', import.meta.url), 'utf8');
  const images = [...compose.matchAll(/^\s*image: (\S+)$/gm)].map(([, image]) => image);
  expect(images).toEqual(expect.arrayContaining([redisImage, postgresImage]));
});
