import { expect, test } from 'vitest';
import { table } from '../src/table.ts';
import { Terminal } from '../src/terminal.ts';
import { visibleLine, visibleText } from '../src/visible-text.ts';

const hostile = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egnp\u2066\r\u007f\ufeff\u2028';
// biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left.
const forbidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

test('escape sequences and controls of direction are shown by their numbers', () => {
  expect(visibleText('a\u001b[31mb\u202ec\n\td')).toBe('a\\u001b[31mb\\u202ec\n\td');
  expect(visibleLine('a\nshop  0  0\tb')).toBe('a\\u000ashop  0  0\\u0009b');
  expect(visibleText(hostile)).not.toMatch(forbidden);
  expect(visibleText('Grüße, 日本, 👩‍👩')).toBe('Grüße, 日本, 👩‍👩');
});

test('a cell of a table stays in its line', () => {
  const text = table(['name', 'n'], [[`a\nb${hostile}`, 1]]);
  expect(text.split('\n')).toHaveLength(2);
  expect(text).not.toMatch(forbidden);
});

test.each([
  ['as text', false],
  ['as JSON', true],
])('whatever a command prints comes out escaped, %s', (_name, isJson) => {
  const parts: string[] = [];
  const sink = { isTTY: true, write: (text: string) => void parts.push(text) };
  const terminal = new Terminal({ env: { NO_COLOR: '1' }, stdout: sink, stderr: sink }, isJson);
  terminal.print({ reason: hostile }, () => hostile);
  terminal.printJson({ reason: hostile });
  terminal.progress(hostile);
  terminal.printPart(hostile);
  terminal.note(hostile);
  terminal.fail({ code: 'x', message: hostile }, 1);
  const written = parts.join('');
  expect(written).not.toMatch(forbidden);
  if (isJson) expect(JSON.parse(written.split('\n')[0]!)).toEqual({ reason: hostile });
  parts.length = 0;
  terminal.statusLine(hostile);
  expect(parts.join('').slice('\r\u001b[K'.length)).not.toMatch(forbidden);
});
