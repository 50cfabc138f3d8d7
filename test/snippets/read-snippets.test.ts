import { expect, test } from 'vitest';
import { commandsOf } from './read-snippets.ts';

test.each([
  [
    'comments are left out, and their quotes open nothing',
    "# it's\na   # Grafana's\nb 'x # y'  # \"z",
    ["a   # Grafana's", "b 'x # y'  # \"z"],
  ],
  ['lines go on after a backslash', 'a \\\n  b\nc', ['a \\\n  b', 'c']],
  ['quotes go on over lines', 'a -d \'{\n  "b": 1\n}\'\nc', ['a -d \'{\n  "b": 1\n}\'', 'c']],
  ['loops are one command', 'for i in 1 2; do\n  a\ndone\nb', ['for i in 1 2; do\n  a\ndone', 'b']],
  ['a hash inside of a word is no comment', "a#'b\nc'", ["a#'b\nc'"]],
])('%s', (_, text, commands) => {
  expect(commandsOf(text)).toEqual(commands);
});
