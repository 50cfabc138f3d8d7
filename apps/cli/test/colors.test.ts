import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { runProgram } from '../src/program.ts';
import { counted } from '../src/table.ts';

const green = '\u001b[32m✓\u001b[39m';
const red = '\u001b[31mpushfleet:\u001b[39m';

/** A command that prints what is wrong, on a terminal or into a pipe. */
async function fail(isTTY: boolean, env: NodeJS.ProcessEnv): Promise<string> {
  let written = '';
  const sink = { isTTY, write: (text: string) => (written += text) };
  await runProgram(['status', 'no-id'], { env, stdout: sink, stderr: sink });
  return written;
}

test.each([
  ['a terminal', true, {}, true],
  ['a pipe', false, {}, false],
  ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
  ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
  ['a pipe with FORCE_COLOR', false, { FORCE_COLOR: '1' }, true],
  ['a terminal with FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
  ['both', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  ['a terminal without colours', true, { TERM: 'dumb' }, false],
])('%s is coloured or not', async (_, isTTY, env, isColored) => {
  const text = await fail(isTTY, env);
  expect(text.includes(red)).toBe(isColored);
  expect(stripVTControlCharacters(text)).toBe(await fail(false, {}));
});

test('what others have written is not taken for colours of ours', async () => {
  let written = '';
  const sink = { isTTY: true, write: (text: string) => (written += text) };
  await runProgram(['status', `\u001b[32m✓`], { env: {}, stdout: sink, stderr: sink });
  expect(written).not.toContain(green);
  expect(written).toContain('\\u001b[32m✓');
});

test.each([
  [0, '0 letters'],
  [1, '1 letter'],
  [1_200, '1,200 letters'],
])('%i is counted', (count, text) => {
  expect(counted(count, 'letter')).toBe(text);
});
