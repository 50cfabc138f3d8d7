import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess } from '@pushfleet/testkit';
import { parse, parseAllDocuments } from 'yaml';

// What a command names: scripts of npm, services, profiles and flags of Compose, arguments of docker build, resources of
// Kubernetes, units of systemd, commands and flags of pushfleet. Whether the command is run or not.

/** Flags that the documents use, by the command of `docker compose`; those that end in `=` take a value. */
const composeFlags: Readonly<Record<string, readonly string[]>> = {
  '': ['--profile='],
  up: ['--build', '-d', '--wait', '--scale='],
  down: ['-v'],
  run: ['--rm', '-v=', '-e='],
  scale: [],
  ps: [],
};
/** Verbs of kubectl and flags that the documents use with them. */
const kubectlFlags: Readonly<Record<string, readonly string[]>> = {
  kustomize: [],
  apply: ['-k='],
  delete: ['--ignore-not-found'],
  get: [],
};
const systemctlVerbs = ['daemon-reload', 'enable', 'restart', 'start', 'stop', 'status'];

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** Looks up what commands name. @param root Of the repository. */
export class NameChecker {
  readonly #root: string;
  readonly #scripts: object;
  readonly #services: Readonly<Record<string, { readonly profiles?: readonly string[] }>>;
  readonly #help = new Map<string, Promise<string>>();

  constructor(root: string) {
    this.#root = root;
    const read = (path: string): string => readFileSync(join(root, path), 'utf8');
    this.#scripts = (JSON.parse(read('package.json')) as { scripts: object }).scripts;
    const compose = parse(read('docker-compose.yml'), { merge: true }) as {
      services: Record<string, object>;
    };
    this.#services = compose.services;
  }

  /** What the command names that is not there; `help` is what it printed when it was asked for its flags. */
  async problems(command: string, help?: string): Promise<string[]> {
    const problems: string[] = [];
    // Parts of a pipe or a list; comments say nothing. Quotes of the documents' commands hold no program.
    const text = command.replaceAll(/(^|\s)#.*$/gm, '').replaceAll(/\\\n/g, ' ');
    for (const part of text.split(/&&|\|\||[|;\n]/)) {
      const words = part
        .trim()
        .split(/\s+/)
        .filter((word) => word !== '…');
      const [program = '', first = '', ...rest] = words;
      if (program === 'npm' && first === 'run') problems.push(...this.#npm(rest, help));
      if (program === 'docker' && first === 'compose') problems.push(...(await this.#compose(rest)));
      if (program === 'docker' && first === 'build') problems.push(...this.#dockerBuild(rest));
      if (program === 'kubectl') problems.push(...this.#kubectl([first, ...rest]));
      if (program === 'systemctl') problems.push(...this.#systemctl([first, ...rest]));
      if (program === 'pushfleet') problems.push(...(await this.#pushfleet([first, ...rest])));
    }
    return problems.map((problem) => `${command.trim()}: ${problem}`);
  }

  #npm(words: readonly string[], help: string | undefined): string[] {
    const [script = '', ...rest] = words.filter((word) => !['-s', '--silent'].includes(word));
    if (script === 'pushfleet' || script === 'node') return [];
    if (!(script in this.#scripts)) return [`there is no script ${script}`];
    if (help === undefined) return [];
    const flags = rest.filter((word) => /^--./.test(word)).map((word) => word.split('=')[0]!);
    return flags.filter((flag) => !help.includes(flag)).map((flag) => `${script} has no flag ${flag}`);
  }

  async #compose(words: readonly string[]): Promise<string[]> {
    const problems: string[] = [];
    const profiles = Object.values(this.#services).flatMap((service) => service.profiles ?? []);
    const isService = (name: string): boolean => name in this.#services;
    let verb = '';
    for (let place = 0; place < words.length; place++) {
      const word = words[place]!;
      const flags = composeFlags[verb] ?? [];
      if (word.startsWith('-')) {
        if (flags.includes(`${word}=`)) {
          const value = words[++place];
          if (word === '--profile' && !profiles.includes(value!))
            problems.push(`there is no profile ${value}`);
        } else if (!flags.includes(word)) problems.push(`the documents' ${verb} has no flag ${word}`);
      } else if (verb === '') {
        verb = word;
        if (composeFlags[verb] === undefined) return [`docker compose ${verb} is not known to this test`];
      } else {
        const name = word.split('=')[0]!;
        if (!isService(name)) problems.push(`there is no service ${name}`);
        // What follows is the service's own command.
        if (verb !== 'run') continue;
        problems.push(...(await this.#pushfleet(words.slice(place + 1))));
        break;
      }
    }
    return problems;
  }

  #dockerBuild(words: readonly string[]): string[] {
    const dockerfile = readFileSync(join(this.#root, 'Dockerfile'), 'utf8');
    const named = words.flatMap((word, place) =>
      words[place - 1] === '--build-arg' ? [word.split('=')[0]!] : [],
    );
    return named
      .filter((name) => !dockerfile.includes(`ARG ${name}=`))
      .map((name) => `the Dockerfile has no ${name}`);
  }

  #kubectl(words: readonly string[]): string[] {
    const [namespaceFlag, namespace, ...afterNamespace] = words;
    const [verb = '', ...rest] = namespaceFlag === '-n' ? afterNamespace : words;
    if (verb === '') return [];
    const flags = kubectlFlags[verb];
    if (flags === undefined) return [`kubectl ${verb} is not known to this test`];
    const problems = rest
      .filter((word) => word.startsWith('-') && !flags.includes(word) && !flags.includes(`${word}=`))
      .map((word) => `kubectl ${verb} has no flag ${word}`);
    const names = this.#resources();
    if (namespaceFlag === '-n' && !names.has(`namespace ${namespace}`))
      problems.push(`there is no namespace ${namespace}`);
    if (verb === 'delete' && !names.has(`${rest[0]} ${rest[1]}`))
      problems.push(`there is no ${rest[0]} ${rest[1]}`);
    const folder = rest.find((word) => word.startsWith('deploy/'));
    if (folder !== undefined && !existsSync(join(this.#root, folder, 'kustomization.yaml')))
      problems.push(`${folder} is no Kustomization`);
    return problems;
  }

  /** `job pushfleet-migrate` and the like, of all manifests. */
  #resources(): ReadonlySet<string> {
    const folder = join(this.#root, 'deploy/kubernetes');
    const files = globSync('*/*.yaml', {
      cwd: folder,
      exclude: ['*/kustomization.yaml', '*/pushfleet.yaml'],
    });
    const resources = files.flatMap((file) =>
      parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map(
        (document) => document.toJS() as Resource,
      ),
    );
    return new Set(resources.map(({ kind, metadata }) => `${kind.toLowerCase()} ${metadata.name}`));
  }

  #systemctl(words: readonly string[]): string[] {
    const [verb = '', ...rest] = words;
    const units = new Set(readdirSync(join(this.#root, 'deploy/systemd')));
    const missing = rest.filter((word) => !word.startsWith('-') && !units.has(word));
    return [
      ...(systemctlVerbs.includes(verb) ? [] : [`systemctl has no ${verb}`]),
      ...missing.map((unit) => `there is no unit ${unit}`),
    ];
  }

  async #pushfleet(words: readonly string[]): Promise<string[]> {
    const path: string[] = [];
    let help = await this.#helpOf([]);
    for (const word of words) {
      if (!/^[a-z][a-z-]*$/.test(word)) break;
      const commands = help.split(/^Commands:$/m)[1] ?? '';
      if (!new RegExp(`^  ${word}\\b`, 'm').test(commands)) {
        if (commands === '') break;
        return [`there is no command ${[...path, word].join(' ')}`];
      }
      path.push(word);
      help = await this.#helpOf(path);
    }
    const flags = words.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.split('=')[0]!);
    return flags
      .filter((flag) => !new RegExp(`(^|[\\s,])${flag}(?![\\w-])`, 'm').test(help))
      .map((flag) => `pushfleet ${path.join(' ')} has no flag ${flag}`);
  }

  async #helpOf(path: readonly string[]): Promise<string> {
    const key = path.join(' ');
    const known = this.#help.get(key);
    if (known !== undefined) return known;
    const entry = join(this.#root, 'apps/cli/src/main.ts');
    const asked = runProcess({ entry, args: [...path, '--help'], timeoutMs: 120_000 }).then(
      ({ stdout }) => stdout,
    );
    this.#help.set(key, asked);
    return asked;
  }
}
