import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ChainableCommander, Cluster, Redis } from 'ioredis';
import { redisTroubleOf } from './trouble.ts';

// The Lua of this package: one file each in `scripts/`, which travels with the package. Each file says at its head what it
// does, and names its keys and arguments in the order in which they stand in the table below; `…` are any number more. All
// keys of a script lie in the slot of one app, those that it puts together itself included.

/**
 * First line of a script that runs although Redis is full: those that take, keep, report and end push jobs, stop the flow,
 * or make room. What they write takes less than what they take away, or is needed to take it away; producers leave a
 * tenth of the memory for it.
 */
export const allowOom = '#!lua flags=allow-oom';

/** What each script is run with. `test/scripts.test.ts` holds it against the heads of the files. */
export const scripts = {
  admit: {
    keys: 'sums counts wait delayed …jobs …records',
    args: 'sumField notifications jobCount recordLifeMs class maxNotifications maxBytes newEpoch …shares …values',
  },
  beat: { keys: 'workers worker', args: 'id lifeMs words' },
  'begin-recount': { keys: 'counts', args: 'epoch patienceMs' },
  'begin-replay': { keys: 'index sums', args: 'base id description …part' },
  cancel: { keys: 'cancelled cancellations times', args: 'lifeMs nowMs …members' },
  checkpoint: { keys: '…jobs', args: '…states' },
  'clear-changes': { keys: 'outbox', args: '…entries' },
  count: { keys: 'totals counts …queues', args: '' },
  'create-group': { keys: 'outcomes', args: 'group' },
  'end-recount': { keys: 'counts sums', args: 'epoch isLast …terms' },
  'find-taken': { keys: 'active', args: 'base token' },
  'forget-reports': { keys: 'outcomes …endedBatches', args: 'group batchLifeMs …entries' },
  'keep-letter': {
    keys: 'index sums',
    args: 'base maxBytes oldestMs maxTrimmed id name data description count atMs',
  },
  'page-letters': { keys: 'index sums', args: 'base limit …after' },
  pause: { keys: 'pauses', args: 'cause pause nowMs' },
  peek: { keys: 'pauses …queues', args: '' },
  'put-change': { keys: 'outbox', args: 'id entry maxEntries' },
  'read-reports': { keys: 'outcomes', args: 'group reader limit maxBytes' },
  'read-workers': { keys: 'workers', args: 'base' },
  'recount-page': { keys: 'counts queued', args: 'base epoch patienceMs from limit …score' },
  remember: { keys: 'record', args: 'value lifeMs' },
  'remove-letter': { keys: 'index sums record', args: 'base id recordLifeMs' },
  'remove-part': {
    keys: 'index sums',
    args: 'base id description name atMs restData restDescription restCount',
  },
  renew: { keys: 'stalled active', args: 'base durationMs …jobs' },
  report: {
    keys: 'job lock outcomes totals endedBatch counts',
    args: 'token report batch batchLifeMs channel message progress traceparent …rises',
  },
  'trim-letters': { keys: 'index sums', args: 'base maxBytes oldestMs maxTrimmed' },
} as const;

export type ScriptName = keyof typeof scripts;

/** Names in their order, with a space in between; one with `…` is a list of any length. */
type Split<Names extends string> = Names extends `${infer First} ${infer Rest}`
  ? First | Split<Rest>
  : Names extends ''
    ? never
    : Names;
/** `{ job: string, records: readonly string[] }` of `'job …records'` */
type Named<Names extends string, Value> = {
  readonly [N in Split<Names> as N extends `…${infer Rest}` ? Rest : N]: N extends `…${string}`
    ? readonly Value[]
    : Value;
};
export type ScriptKeys<Name extends ScriptName> = Named<(typeof scripts)[Name]['keys'], string>;
export type ScriptArgs<Name extends ScriptName> = Named<(typeof scripts)[Name]['args'], string | number>;

interface LoadedScript {
  readonly lua: string;
  readonly sha: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

const loaded = new Map<ScriptName, LoadedScript>();

/**
 * Runs a script by name: by its hash, and by its text where the server does not know it. Returns what the script returns,
 * and rejects with what the client rejects with.
 */
export async function runScript<Name extends ScriptName>(
  client: Redis | Cluster,
  name: Name,
  keys: ScriptKeys<Name>,
  args: ScriptArgs<Name>,
): Promise<unknown> {
  const script = load(name);
  const { keyCount, values } = inOrder(script, keys, args);
  try {
    return await client.evalsha(script.sha, keyCount, ...values);
  } catch (error) {
    if (redisTroubleOf(error) !== 'script') throw error;
    return client.eval(script.lua, keyCount, ...values);
  }
}

/** Puts a script into a transaction, with its text: one that the server does not know would leave the rest to be done. */
export function addScript<Name extends ScriptName>(
  multi: ChainableCommander,
  name: Name,
  keys: ScriptKeys<Name>,
  args: ScriptArgs<Name>,
): void {
  const script = load(name);
  const { keyCount, values } = inOrder(script, keys, args);
  multi.eval(script.lua, keyCount, ...values);
}

interface Values {
  readonly keyCount: number;
  readonly values: (string | number)[];
}

function inOrder(script: LoadedScript, keys: object, args: object): Values {
  const values = listOf(script.keys, keys);
  const keyCount = values.length;
  return { keyCount, values: values.concat(listOf(script.args, args)) };
}

function listOf(names: readonly string[], named: object): (string | number)[] {
  const values = named as Readonly<Record<string, string | number | (string | number)[]>>;
  return names.flatMap((name) => values[name]!);
}

function load(name: ScriptName): LoadedScript {
  let script = loaded.get(name);
  if (script === undefined) {
    const lua = readScript(name);
    const { keys, args } = scripts[name];
    const sha = createHash('sha1').update(lua).digest('hex');
    script = { lua, sha, keys: namesIn(keys), args: namesIn(args) };
    loaded.set(name, script);
  }
  return script;
}

function namesIn(names: string): string[] {
  return names.split(' ').flatMap((name) => (name === '' ? [] : name.replace('…', '')));
}

/** The text that goes to Redis: without comments, with what it includes. */
export function readScript(name: string): string {
  const text = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
  return text
    .replaceAll(/^-- @include ([\w-]+)\n/gm, (_, part: string) => readScript(`include/${part}`))
    .replaceAll(/^ *--.*\n/gm, '');
}
