import { readdirSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProcess, SupervisedProcess } from '@pushfleet/testkit';

interface RunResult {
  readonly code: number | null;
  readonly output: string;
}

/** `npm run demo -- --keep`, and a folder like a clone in which snippets are run. */
export interface Playground {
  /** What `.pushfleet/playground.env` exports. */
  readonly env: Readonly<Record<string, string>>;
  /** The commands that its last screen tells to try. */
  readonly commands: readonly string[];
  /** Runs commands as somebody does who has sourced that file; variables last until the end of the document. */
  runShell(commands: string, document: string): Promise<RunResult>;
  /** Runs a program that lies in the clone. */
  runProgram(text: string): Promise<RunResult>;
  stop(): Promise<void>;
}

/** Words of the documents that stand for something of the reader's own. */
const placeholders = (outputs: ReadonlyMap<string, string>): Readonly<Record<string, string>> => ({
  APP: 'shop-prod',
  FILE: '"$TLS_DIR/client.pem"',
  ID: outputs.get('letter') ?? '(no dead letter)',
  CHANNEL: outputs.get('channel') ?? '(no channel)',
});

/** @param root Of the repository. */
export async function openPlayground(root: string): Promise<Playground> {
  const demo = await SupervisedProcess.spawn({
    name: 'the demo',
    command: process.execPath,
    args: [join(root, 'scripts/demo/main.ts'), '--keep', '--notifications', '1000'],
    env: { ...process.env, REDIS_URL: undefined, DATABASE_URL: undefined },
    cwd: undefined,
    stopTimeoutMs: 30_000,
  });
  const lines = () => demo.lines.map(({ text }) => text);
  await demo.waitForLine(({ text }) => (text.includes('until Ctrl-C') ? text : undefined), {
    what: 'said nothing of a playground',
    timeoutMs: 220_000,
  });
  const env = Object.fromEntries(
    lines().flatMap((line) =>
      [...line.matchAll(/^export (\w+)='([^']*)'$/g)].map(([, name, value]) => [name!, value!]),
    ),
  ) as Record<string, string>;
  const folder = await makeClone(root);
  // Node.js finds the packages from here.
  const programs = await mkdtemp(join(root, '.pushfleet', 'snippets-'));
  // What the documents take for granted of earlier outputs.
  const outputs = new Map<string, string>();

  async function runShell(commands: string, document: string): Promise<RunResult> {
    const state = join(folder, `${document.replaceAll('/', '-')}.state`);
    const filled = Object.entries(placeholders(outputs)).reduce(
      (text, [word, value]) => text.replaceAll(new RegExp(`(?<=\\s)${word}(?=\\s|$)`, 'g'), value),
      commands.replaceAll(/<(\w+)>/g, (all, name: string) => outputs.get(name) ?? all),
    );
    const script = [
      'set -eua',
      `. ${join(folder, '.pushfleet/playground.env')}`,
      // Waiting teaches nothing here.
      'sleep() { :; }',
      // An answer that is an error has to be noticed.
      'curl() { command curl --fail-with-body "$@"; }',
      `[ ! -f ${state} ] || . ${state}`,
      filled.replaceAll('http://127.0.0.1:8080', env.PUSHFLEET_URL!),
      `export -p > ${state}`,
    ].join('\n');
    const result = await runProcess({
      command: 'bash',
      args: ['-c', script],
      cwd: folder,
      // Of the playground's variables none but those that it tells.
      env: { NO_COLOR: '1', ...Object.fromEntries(Object.keys(env).map((name) => [name, undefined])) },
      timeoutMs: 180_000,
    });
    remember(result.stdout, outputs);
    return { code: result.code, output: `${filled}\n\n${result.stdout}${result.stderr}` };
  }

  return {
    env,
    commands: lines().flatMap((line) => (/^ {2}(pushfleet|curl) /.test(line) ? [line] : [])),
    runShell,
    async runProgram(text) {
      const file = join(programs, `program-${process.hrtime.bigint()}.ts`);
      await writeFile(file, text.replaceAll('http://127.0.0.1:8080', env.PUSHFLEET_URL!));
      const result = await runProcess({ entry: file, env, timeoutMs: 180_000 });
      return { code: result.code, output: result.stdout + result.stderr };
    },
    async stop() {
      await demo.stop();
      const file = join(root, '.pushfleet/playground.env');
      const left = await readFile(file, 'utf8').catch(() => '');
      if (left.includes(env.REDIS_URL!)) throw new Error(`${file} outlived the playground`);
      await rm(folder, { recursive: true, force: true });
      await rm(programs, { recursive: true, force: true });
    },
  };
}

/** A folder of links to what is in the repository: what commands write is not in it. */
async function makeClone(root: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-snippets-'));
  for (const name of readdirSync(root)) {
    if (name === '.git' || name === '.pushfleet') continue;
    // Commands write beside their own file there.
    if (name === 'deploy') await cp(join(root, name), join(folder, name), { recursive: true });
    else await symlink(join(root, name), join(folder, name));
  }
  // A copy: another playground of this clone may write its own.
  await mkdir(join(folder, '.pushfleet'));
  const file = '.pushfleet/playground.env';
  await copyFile(join(root, file), join(folder, file));
  return folder;
}

/** Texts of JSON that was printed, by the names of their fields. */
function remember(stdout: string, outputs: Map<string, string>): void {
  for (const line of stdout.split('\n')) {
    const [letter] = /^[0-9a-f]{8}-[0-9a-f-]{27}-\d+/.exec(line) ?? [];
    if (letter !== undefined) outputs.set('letter', letter);
    if (/^[A-Za-z0-9+/]{20,}={0,2}$/.test(line)) outputs.set('channel', line);
    if (!line.startsWith('{')) continue;
    try {
      for (const [name, value] of Object.entries(JSON.parse(line) as object)) {
        if (typeof value === 'string') outputs.set(name, value);
      }
    } catch {
      // Cut off by `head`, say.
    }
  }
}
