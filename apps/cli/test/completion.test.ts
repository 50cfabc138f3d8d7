import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runCli } from './run-cli.ts';

const run = promisify(execFile);

/** What bash offers after these words; the last one is being typed. */
async function complete(...words: readonly string[]): Promise<string[]> {
  const { stdout: script } = await runCli(['completion', 'bash']);
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const { stdout } = await run('bash', [
    '-c',
    `${script}\nCOMP_WORDS=(pushfleet ${quoted}); COMP_CWORD=${words.length}; _pushfleet; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ]);
  return stdout.trim().split('\n');
}

test('bash completes commands, subcommands and options', async () => {
  expect(await complete('pau')).toEqual(['pause']);
  expect(await complete('credentials', 'ins')).toEqual(['inspect']);
  expect(await complete('pause', '--re')).toEqual(['--reason']);
  // After an argument, options still are those of the command.
  expect(await complete('pause', 'shop', '--re')).toEqual(['--reason']);
  expect(await complete('doctor', '--j')).toEqual(['--json']);
});

test('zsh and fish get scripts of the same tree', async () => {
  expect((await runCli(['completion', 'zsh'])).stdout).toContain("'credentials inspect') words=");
  const fish = (await runCli(['completion', 'fish'])).stdout;
  expect(fish).toMatch(/^complete -c pushfleet -f -n '__fish_use_subcommand' -a pause -d /m);
  expect(fish).toMatch(/__fish_seen_subcommand_from pause' -l reason$/m);
});

test('another shell is refused', async () => {
  const { exitCode, stderr } = await runCli(['completion', 'tcsh']);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/Allowed choices are bash, zsh, fish/);
});
