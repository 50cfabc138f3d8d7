import { type Finding, findingsAbout } from './finding.ts';

const { ok, warning, problem } = findingsAbout('redis');

/** The oldest version whose commands are all that is used here. */
const oldestMajor = 7;
/** Above this share of `maxmemory`, an alert fires too. */
const memoryShare = 0.8;

/** What of one node endangers jobs that it has confirmed. */
export function checkRedisInfo(text: string): Finding[] {
  const info = new Map(
    text.split('\r\n').flatMap((line) => {
      const [, name, value] = /^([a-z0-9_]+):(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value ?? ''] as const];
    }),
  );
  const is = (name: string) => info.get(name) ?? '';
  const findings: Finding[] = [];
  const version = is('redis_version');
  // Valkey tells this one for compatibility, and its own besides.
  const isValkey = info.has('valkey_version');
  if (Number.parseInt(version, 10) < oldestMajor && !isValkey) {
    findings.push(
      problem(`it is Redis ${version}`, `Pushfleet needs Redis ${oldestMajor} or newer, or Valkey.`),
    );
  }
  if (is('role') !== 'master') {
    findings.push(problem('it is a replica, which takes no writes', 'Name the primary, or the sentinels.'));
  }
  const policy = is('maxmemory_policy');
  if (policy !== 'noeviction') {
    findings.push(
      problem(
        `maxmemory-policy is ${policy}: under pressure, push jobs are thrown away`,
        'Set it: redis-cli config set maxmemory-policy noeviction, and in redis.conf.',
      ),
    );
  }
  if (is('aof_enabled') !== '1') {
    findings.push(
      problem(
        'it keeps no append-only file: a restart loses what it has confirmed',
        'Switch it on: redis-cli config set appendonly yes, and in redis.conf.',
      ),
    );
  } else if (is('aof_last_write_status') !== 'ok' || is('aof_last_bgrewrite_status') !== 'ok') {
    findings.push(problem('it cannot write its append-only file', 'Look at its disk and its log.'));
  }
  const [used, limit] = [Number(is('used_memory')), Number(is('maxmemory'))];
  if (limit === 0) {
    findings.push(
      warning(
        'maxmemory is not set: it grows until the machine kills it',
        'Set it below what the machine or container has: redis-cli config set maxmemory 2gb.',
      ),
    );
  } else if (used > memoryShare * limit) {
    findings.push(
      warning(
        `it uses ${Math.round((used / limit) * 100)} % of its maxmemory`,
        'At the limit it refuses writes: add workers, or memory.',
      ),
    );
  }
  if (!findings.some(({ severity }) => severity === 'problem')) {
    const bound = limit === 0 ? '' : ` of ${inMebibytes(limit)}`;
    findings.unshift(
      ok(
        `${isValkey ? 'Valkey' : 'Redis'} ${is('valkey_version') || version} keeps what it confirms; it uses ${inMebibytes(used)}${bound}`,
      ),
    );
  }
  return findings;
}

function inMebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
