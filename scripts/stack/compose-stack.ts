import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** A command failed; the message holds what it said. */
class StackError extends Error {
  override readonly name = 'StackError';
}

export interface ComposeStackOptions {
  /** Of the repository. */
  readonly root: string;
  /** Names containers, networks and volumes. */
  readonly project: string;
}

/** How long one command may take, milliseconds: the first build fetches images. */
const commandTimeoutMs = 900_000;

/** `docker compose` on the repository's file, all profiles, at free ports. */
export class ComposeStack {
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor({ root, project }: ComposeStackOptions) {
    this.#root = root;
    this.#env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: project,
      COMPOSE_PROFILES: 'simulator,monitoring,dashboards',
      COMPOSE_PROGRESS: 'plain',
      PUSHFLEET_AUTH: 'keys',
      PUSHFLEET_PORT: '0',
      PUSHFLEET_PRODUCER_ADMIN_PORT: '0',
      PUSHFLEET_SIMULATOR_PORT: '0',
      PUSHFLEET_PROMETHEUS_PORT: '0',
      PUSHFLEET_ALERTMANAGER_PORT: '0',
      PUSHFLEET_GRAFANA_PORT: '0',
    };
  }

  /** Returns standard output. @throws StackError with standard error */
  async run(command: string, args: readonly string[], input = ''): Promise<string> {
    const child = spawn(command, args, { cwd: this.#root, env: this.#env, timeout: commandTimeoutMs });
    const closed = once(child, 'close') as Promise<[number | null]>;
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    try {
      const [[code], stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
      if (code === 0) return stdout;
      throw new StackError(`${command} ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`.trim());
    } catch (cause) {
      if (cause instanceof StackError) throw cause;
      throw new StackError(`${command} cannot be run: ${(cause as Error).message}`, { cause });
    }
  }

  async compose(...args: readonly string[]): Promise<string> {
    return this.run('docker', ['compose', ...args]);
  }

  /** `http://127.0.0.1:…` of a port that the service publishes. */
  async url(service: string, port: number): Promise<string> {
    const address = (await this.compose('port', service, String(port))).trim();
    return `http://${address.replace('0.0.0.0', '127.0.0.1')}`;
  }

  async containers(service: string): Promise<string[]> {
    return (await this.compose('ps', '-q', service)).trim().split('\n').filter(Boolean);
  }

  /** From now on compose sees this variable. */
  set(name: string, value: string): void {
    this.#env[name] = value;
  }

  /**
   * The image to use for a name that may end in a digest: itself, where it is here or can be fetched; else the local
   * image of its tag; undefined: neither can be had.
   */
  async findImage(image: string): Promise<string | undefined> {
    if (await this.#isHere(image)) return image;
    const isFetched = await this.run('docker', ['pull', '--quiet', image]).then(
      () => true,
      () => false,
    );
    if (isFetched) return image;
    const [tag = ''] = image.split('@');
    return tag !== image && (await this.#isHere(tag)) ? tag : undefined;
  }

  async #isHere(image: string): Promise<boolean> {
    return this.run('docker', ['image', 'inspect', '--format', 'there', image]).then(
      () => true,
      () => false,
    );
  }
}
