import { readFileSync } from 'node:fs';
import { appSettings, strayDescriptions } from '@pushfleet/service-kit';
import { expect, test } from 'vitest';
import { settingsFile, settingsPage } from '../settings/settings-page.ts';

test('docs/settings.md is what the schemas say (npm run settings writes it)', () => {
  expect(readFileSync(settingsFile, 'utf8')).toBe(settingsPage());
});

test('every setting of pushfleet.yaml is described, and nothing that is none', () => {
  const plain = /\.(port|window)$/;
  expect(appSettings().filter(({ path, what }) => what === '' && !plain.test(path))).toEqual([]);
  expect(strayDescriptions()).toEqual([]);
});
