import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repositoryRoot } from '../repository.ts';
import { runTool } from './run-tool.ts';

interface ComposeService {
  readonly image?: string;
  readonly build?: unknown;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly stop_grace_period?: string;
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly secrets?: readonly string[];
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly healthcheck?: unknown;
  readonly deploy?: { readonly resources?: { readonly limits?: { readonly memory?: string } } };
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets?: Readonly<Record<string, unknown>>;
  readonly networks?: Readonly<Record<string, unknown>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

export async function readCompose(): Promise<ComposeFile> {
  const text = await readFile(join(repositoryRoot, 'docker-compose.yml'), 'utf8');
  return parse(text, { merge: true }) as ComposeFile;
}

/** How long a service may go on after its drain's deadline (service-kit's runService), seconds. */
const releaseGraceSeconds = 10;

/** What is wrong with the compose file, as far as it can be told without Docker. */
export function composeProblems(file: ComposeFile): string[] {
  return Object.entries(file.services).flatMap(([name, service]) => [
    ...undeclared(file, service).map((problem) => `${name} ${problem}`),
    ...careless(service).map((problem) => `${name} ${problem}`),
  ]);
}

function undeclared(file: ComposeFile, service: ComposeService): string[] {
  const { secrets = [], networks = [], volumes = [], depends_on = [] } = service;
  const namedVolumes = volumes
    .map((volume) => volume.split(':')[0]!)
    .filter((source) => !/^[./]/.test(source));
  const dependencies = Array.isArray(depends_on) ? (depends_on as string[]) : Object.keys(depends_on);
  const missing = (what: string, names: readonly string[], declared: object = {}) =>
    names
      .filter((name) => !(name in declared))
      .map((name) => `names the ${what} ${name}, which is not declared`);
  return [
    ...missing('secret', secrets, file.secrets),
    ...missing('network', networks, file.networks),
    ...missing('volume', namedVolumes, file.volumes),
    ...missing('service', dependencies, file.services),
  ];
}

function careless(service: ComposeService): string[] {
  const problems: string[] = [];
  if (service.image === undefined) problems.push('has no image');
  if (service.deploy?.resources?.limits?.memory === undefined) problems.push('has no limit of memory');
  if (service.networks === undefined) problems.push('is in the default network');
  const isOurs = service.build !== undefined;
  if (!isOurs && service.healthcheck === undefined) problems.push('has no health check');
  if (!isOurs) return problems;
  if (service.read_only !== true) problems.push('may write to its root file system');
  if (!service.cap_drop?.includes('ALL')) problems.push('keeps capabilities');
  const drain = seconds(service.environment?.PUSHFLEET_DRAIN_TIMEOUT ?? '0s');
  if (seconds(service.stop_grace_period ?? '10s') < drain + releaseGraceSeconds) {
    problems.push('is killed before its drain has ended: stop_grace_period is too short');
  }
  return problems;
}

function seconds(text: string | number): number {
  const [, amount] = /^(\d+)s$/.exec(String(text)) ?? [];
  return amount === undefined ? Number.NaN : Number(amount);
}

/** What `docker compose` says of the file; undefined where it is not there. */
export async function checkWithDocker(): Promise<string[] | undefined> {
  const version = await runTool('docker', ['compose', 'version'], repositoryRoot);
  if (version === undefined || version.code !== 0) return undefined;
  const result = await runTool('docker', ['compose', '--profile', '*', 'config', '--quiet'], repositoryRoot);
  return result?.code === 0 ? [] : [`docker compose config: ${result?.stderr.trim()}`];
}
