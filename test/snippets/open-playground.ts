import { existsSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { type ProcessResult, runProcess, SupervisedProcess } from '@pushfleet/testkit';
import { openClone } from './open-clone.ts';
import { findOrdinaryUser } from './ordinary-user.ts';

interface RunResult {
  readonly code: number | null;
  readonly output: string;
}

/** `npm run demo -- --keep` of an ordinary user in a clone, by the Node.js of the system. */
export interface Playground {
  /** What `.pushfleet/playground.env` exports. */
  readonly env: Readonly<Record<string, string>>;
  /** The commands on its last screen. */
  readonly commands: readonly string[];
  /** Runs commands as somebody does who has sourced that file; variables last until the end of the document. */
  runShell(commands: string, document: string): Promise<RunResult>;
  /** Runs a program that lies in the clone. */
  runProgram(text: string): Promise<RunResult>;
  /** Runs a program, as JavaScript, where only the client is installed, by the Node.js of the system. */
  runClientProgram(text: string): Promise<RunResult>;
  stop(): Promise<void>;
}

/** Words of the documents that stand for something of the reader's own. */
const placeholders = (outputs: ReadonlyMap<string, string>): Readonly<Record<string, string>> => ({
  APP: 'shop-prod',
  FILE: '"$TLS_DIR/client.pem"',
  ID: outputs.get('letter') ?? '(no dead letter)',
  CHANNEL: outputs.get('channel') ?? '(no channel)',
});

const shellFunctions = `
# Waiting teaches nothing here.
sleep() { :; }
# An answer that is an error has to be noticed.
curl() { command curl --fail-with-body "$@"; }
# Runs a service until it says that it is ready, and stops it.
until_ready() {
  local log; log=$(mktemp)
  PUSHFLEET_PORT=0 PUSHFLEET_ADMIN_PORT=0 "$@" > "$log" 2>&1 &
  local pid=$! code=0
  for _ in $(seq 600); do
    grep -q '"ready":true\\|"msg":"ready"' "$log" && break
    kill -0 $pid 2> /dev/null || break
    command sleep 0.2
  done
  grep -q '"ready":true\\|"msg":"ready"' "$log" || { cat "$log"; echo "was not ready: $*"; return 1; }
  kill -TERM $pid
  wait $pid || code=$?
  [ $code = 0 ] || [ $code = 143 ] || { cat "$log"; echo "ended with $code: $*"; return 1; }
}
`;

/** @param root Of the repository. */
export async function openPlayground(root: string): Promise<Playground> {
  const user = findOrdinaryUser(root);
  process.stdout.write(`The documents are followed by ${user.description}.\n`);
  const { account } = user;
  const { folder, home, remove } = await openClone(root, user);
  // What npm told its scripts is about the account that runs the tests, such as where its cache is.
  const ofNpm = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
  const bare = {
    ...Object.fromEntries(ofNpm.map((name) => [name, undefined])),
    HOME: home,
    PATH: user.path,
    REDIS_URL: undefined,
    DATABASE_URL: undefined,
  };
  const demo = await SupervisedProcess.spawn({
    name: 'the demo',
    command: 'npm',
    args: ['run', 'demo', '--', '--keep', '--notifications', '1000'],
    env: { ...process.env, ...bare },
    cwd: folder,
    account,
    stopTimeoutMs: 30_000,
  });
  const lines = () => demo.lines.map(({ text }) => text);
  // The last line of its last screen.
  await demo.waitForLine(({ text }) => (text.includes('$SIMULATOR_URL/ledger') ? text : undefined), {
    what: 'said nothing of a playground',
    timeoutMs: 220_000,
  });
  const env = Object.fromEntries(
    lines().flatMap((line) =>
      [...line.matchAll(/^export (\w+)='([^']*)'$/g)].map(([, name, value]) => [name!, value!]),
    ),
  ) as Record<string, string>;
  // What the documents take for granted of earlier outputs.
  const outputs = new Map([['url', root]]);

  async function runShell(commands: string, document: string): Promise<RunResult> {
    const state = join(home, `${document.replaceAll('/', '-')}.state`);
    const filled = Object.entries(placeholders(outputs)).reduce(
      (text, [word, value]) => text.replaceAll(new RegExp(`(?<=\\s)${word}(?=\\s|$)`, 'g'), value),
      commands.replaceAll(/<(\w+)>/g, (all, name: string) => outputs.get(name) ?? all),
    );
    const script = [
      'set -eua',
      `. ${join(folder, '.pushfleet/playground.env')}`,
      shellFunctions,
      `[ ! -f ${state} ] || . ${state}`,
      filled.replaceAll('http://127.0.0.1:8080', env.PUSHFLEET_URL!),
      `export -p > ${state}`,
    ].join('\n');
    const result = await runProcess({
      command: 'bash',
      args: ['-c', script],
      cwd: folder,
      account,
      // Of the playground's variables none but those in its file. The repository belongs to another account.
      env: {
        NO_COLOR: '1',
        ...Object.fromEntries(Object.keys(env).map((name) => [name, undefined])),
        ...bare,
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
      },
      timeoutMs: 280_000,
    });
    remember(result.stdout, outputs);
    return { code: result.code, output: `${filled}\n\n${result.stdout}${result.stderr}` };
  }

  async function runNode(program: string, file: string, text: string): Promise<RunResult> {
    await writeFile(file, text.replaceAll('http://127.0.0.1:8080', env.PUSHFLEET_URL!));
    const result = await runProcess({
      command: program,
      args: [file],
      env: { ...bare, ...env },
      account,
      timeoutMs: 180_000,
    });
    return { code: result.code, output: result.stdout + result.stderr };
  }

  // Node.js finds the packages from here.
  const programs = join(folder, 'examples/of-the-documents');
  await mkdir(programs);
  const consumer = join(folder, '..', 'consumer');
  let isBuilt: Promise<ProcessResult> | undefined;
  const buildClient = async (): Promise<ProcessResult> => {
    const built = await runProcess({
      entry: join(folder, 'scripts/build-package.ts'),
      cwd: join(folder, 'packages/client'),
      account,
      timeoutMs: 100_000,
    });
    if (built.code !== 0) throw new Error(built.stdout + built.stderr);
    await mkdir(join(consumer, 'node_modules/@pushfleet'), { recursive: true });
    await symlink(join(folder, 'packages/client/dist'), join(consumer, 'node_modules/@pushfleet/client'));
    return built;
  };

  return {
    env,
    commands: lines().flatMap((line) => (/^ {2}(pushfleet|curl) /.test(line) ? [line] : [])),
    runShell,
    runProgram: async (text) =>
      runNode(process.execPath, join(programs, `program-${process.hrtime.bigint()}.ts`), text),
    async runClientProgram(text) {
      isBuilt ??= buildClient();
      await isBuilt;
      const file = join(consumer, `program-${process.hrtime.bigint()}.mjs`);
      return runNode(user.node.program, file, stripTypeScriptTypes(text));
    },
    async stop() {
      const { code } = await demo.stop();
      const left = lines().slice(-20).join('\n');
      const isLeft = existsSync(join(folder, '.pushfleet/playground.env'));
      await remove();
      if (isLeft) throw new Error('.pushfleet/playground.env outlived the playground');
      if (code !== 0) throw new Error(`the demo ended with ${code}:\n${left}`);
    },
  };
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
