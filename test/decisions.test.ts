import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// Decision records have one form, and an index that names each with its date and status.

const folder = fileURLToPath(new URL('../docs/decisions', import.meta.url));
const files = globSync('[0-9]*.md', { cwd: folder }).sort();
const statusPattern =
  /^\*\*Status:\*\* (accepted|superseded by \[\d{4}\]\(\S+\.md\)) · \*\*Date:\*\* (\d{4}-\d\d-\d\d)$/m;

function read(file: string): { readonly text: string; readonly title: string; readonly row: string } {
  const text = readFileSync(join(folder, file), 'utf8');
  const [, number = '', title = ''] = /^# (\d{4}) (.+)\n/.exec(text) ?? [];
  const [, status = '', date = ''] = statusPattern.exec(text) ?? [];
  return { text, title, row: `| [${number}](${file}) | ${title} | ${status} | ${date} |` };
}

describe.each(files)('%s', (file) => {
  test('has its number, a title, a status and a date', () => {
    const { text, title } = read(file);
    expect(text.startsWith(`# ${basename(file).slice(0, 4)} `)).toBe(true);
    expect(title).not.toBe('');
    expect(text.split('\n')[2]).toMatch(statusPattern);
  });

  test('says context, decision, alternatives and consequences, in this order', () => {
    const sections = read(file).text.split(/^## /m).slice(1);
    expect(sections.map((section) => section.split('\n')[0])).toEqual([
      'Context',
      'Decision',
      'Alternatives',
      'Consequences',
    ]);
    for (const section of sections)
      expect(section.split('\n').slice(1).join('').trim().length).toBeGreaterThan(40);
  });
});

test('the index names each record, its status and its date', () => {
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  expect(index.match(/^\| \[\d{4}\].*$/gm)).toEqual(files.map((file) => read(file).row));
});
