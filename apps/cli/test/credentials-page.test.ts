import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './run-cli.ts';

// docs/credentials.md shows commands with their output. Here they are run, in order, in a folder with the files that the
// page has its reader make, against a simulator in place of the one that the page starts.

const page = await readFile(new URL('../../../docs/credentials.md', import.meta.url), 'utf8');

interface Example {
  readonly command: string;
  readonly output: string;
}

const examples: Example[] = [...page.matchAll(/```console\n([\s\S]*?)```/g)].flatMap(([, block]) =>
  block!
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      // A command goes on after a backslash at the end of the line.
      const [, command = '', output = ''] = /^((?:.*\\\n)*.*)\n([\s\S]*)$/.exec(text) ?? [];
      return { command: command.replaceAll('\\\n', ' '), output: output.trim() };
    }),
);

let simulator: Simulator;
let folder: string;
const home = process.cwd();
const cli = fileURLToPath(new URL('../src/main.ts', import.meta.url));

beforeAll(async () => {
  [simulator, folder] = await Promise.all([startSimulator(), mkdtemp(join(tmpdir(), 'pushfleet-page-'))]);
  process.chdir(folder);
  // The page's simulator makes these.
  await symlink(simulator.tlsDir, 'tls');
  // Whatever the page says to do before it looks at anything.
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
  const script = blocks
    .filter((text) => text.includes('tls/'))
    .join('')
    .replace(/^pushfleet\(\).*/m, '');
  const program = `pushfleet() { '${process.execPath}' '${cli}' "$@"; }`;
  await promisify(execFile)('bash', ['-ec', `${program}\n${script}`]);
}, 60_000);

afterAll(async () => {
  process.chdir(home);
  await Promise.all([simulator.stop(), rm(folder, { recursive: true, force: true })]);
});

/** The page's gateway is at ports that may be taken here. */
function withPorts(text: string): string {
  return text
    .replaceAll(/\b8443\b/g, String(simulator.http2Port))
    .replaceAll(/\b2195\b/g, String(simulator.binaryPort))
    .replaceAll(/\b2196\b/g, String(simulator.feedbackPort));
}

/** What differs from run to run. */
function withoutChance(text: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{64}\b/g, '(fingerprint)')
    .replaceAll(/\b[0-9A-F]{32,40}\b/g, '(serial)')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '(date)');
}

test('the page has examples', () => {
  expect(examples.length).toBeGreaterThan(8);
});

test('every pushfleet.yaml of the page is one, as far as its files are there', async () => {
  const yamls = [...page.matchAll(/```yaml\n(apps:[\s\S]*?)```/g)].map(([, yaml]) => yaml!);
  expect(yamls.length).toBeGreaterThan(1);
  for (const yaml of yamls) {
    await writeFile('page.yaml', yaml);
    const { json } = await runCli([
      'credentials',
      'check',
      '--app',
      'none',
      '--config',
      'page.yaml',
      '--json',
    ]);
    // Everything else is right when only the app is missing.
    expect(json.error).toMatchObject({ code: 'app-unknown' });
  }
});

test.each(examples.map((example) => [example.command, example] as const))('$ %s', async (_, example) => {
  const [program, ...args] = withPorts(example.command).split(/\s+/);
  if (program === 'cat') {
    // Shows a file that later commands need.
    await writeFile(args[0]!, withPorts(example.output));
    return;
  }
  expect(program).toBe('pushfleet');
  const { stdout, stderr } = await runCli(args, process.env);
  expect(withoutChance(stdout + stderr).trim()).toBe(withoutChance(withPorts(example.output)));
});
