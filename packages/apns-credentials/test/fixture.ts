import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The path of a file in `fixtures`. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
}

export function fixtureText(name: string): string {
  return readFileSync(fixture(name), 'utf8');
}

/** The passphrase of the fixtures, as configuration gives it. */
export const passphrase = { env: 'TEST_PASSPHRASE' };
export const environment = {
  TEST_PASSPHRASE: 'geheim',
  TEST_WRONG_PASSPHRASE: 'falsch',
  TEST_UMLAUT_PASSPHRASE: 'größe€',
};
