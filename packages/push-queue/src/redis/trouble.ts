// What an error of Redis, or of the client that speaks to it, means. The one place that reads their texts.

/**
 * A closed set, usable as a metric label.
 *
 * - `not-sent`: the connection had ended, or was not up yet, when the command came.
 * - `connection`: the connection ended, or no answer came in time, after the command may have been sent.
 * - `role`: the server is not the one that writes: a replica, or one that is still loading.
 * - `moved`: another node of a cluster has the key, or none has it at the moment.
 * - `space`: the server takes no writes for want of memory, disk or replicas.
 * - `rights`: the password is wrong, or the user may not do this.
 * - `busy`: the server runs a script that does not end.
 * - `script`: the server does not know the script any more.
 * - `aborted`: the transaction was discarded for one of its commands, and the reason is not known.
 */
export type RedisTrouble =
  | 'not-sent'
  | 'connection'
  | 'role'
  | 'moved'
  | 'space'
  | 'rights'
  | 'busy'
  | 'script'
  | 'aborted';

/** First words of an error reply. */
const replies: Readonly<Record<string, RedisTrouble>> = {
  READONLY: 'role',
  LOADING: 'role',
  MASTERDOWN: 'role',
  UNBLOCKED: 'role',
  MOVED: 'moved',
  ASK: 'moved',
  TRYAGAIN: 'moved',
  CLUSTERDOWN: 'moved',
  OOM: 'space',
  MISCONF: 'space',
  NOREPLICAS: 'space',
  NOAUTH: 'rights',
  WRONGPASS: 'rights',
  NOPERM: 'rights',
  BUSY: 'busy',
  NOSCRIPT: 'script',
};

/** What the client says by itself. */
const clientErrors: readonly (readonly [RegExp, RedisTrouble])[] = [
  [/^Stream isn't writeable/, 'not-sent'],
  [/^Cluster isn't ready/, 'not-sent'],
  [/^Connection is closed/, 'connection'],
  [/^Cluster is ended/, 'connection'],
  [/^Command timed out/, 'connection'],
  [/^Reached the max retries per request limit/, 'connection'],
  [/^Failed to refresh slots cache/, 'connection'],
  [/^All sentinels are unreachable/, 'connection'],
];

const descriptions: Readonly<Record<RedisTrouble, string>> = {
  'not-sent': 'Redis cannot be reached',
  connection: 'Redis cannot be reached',
  role: 'Redis takes no writes here: the server is a replica, or is still loading',
  moved: 'Redis Cluster is moving or has lost the keys of this app',
  space: 'Redis takes no writes: it is out of memory or disk, or too few replicas follow it',
  rights: 'Redis refuses the password, or the rights of the user do not suffice',
  busy: 'Redis is busy with a script',
  script: 'Redis has forgotten a script',
  aborted: 'Redis has discarded a transaction',
};

const connectionNames = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError']);
const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Returns what an error of a Redis client means; undefined: it is none, or one of the command itself. */
export function redisTroubleOf(error: unknown): RedisTrouble | undefined {
  for (let each = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth++) {
    const trouble = troubleOf(each);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** Says it to people; never a value, which may be a secret. */
export function describeRedisTrouble(trouble: RedisTrouble): string {
  return descriptions[trouble];
}

/** Whether Redis did not do what it was asked, for certain. */
export function isRefusal(trouble: RedisTrouble | undefined): boolean {
  return trouble !== undefined && trouble !== 'connection';
}

function troubleOf(error: Error): RedisTrouble | undefined {
  const { message, name } = error;
  // A transaction is discarded for the errors of its commands, which stand beside it.
  const { previousErrors } = error as { previousErrors?: unknown };
  if (message.startsWith('EXECABORT')) {
    const causes = Array.isArray(previousErrors) ? previousErrors : [];
    for (const cause of causes) {
      const trouble = redisTroubleOf(cause);
      if (trouble !== undefined) return trouble;
    }
    return 'aborted';
  }
  const redirected = /^Too many Cluster redirections\. Last error: (?:\w*Error: )?(.*)$/s.exec(message)?.[1];
  // Older servers put the reply of a command inside a script behind words of their own.
  const nested = /^ERR Error running script .*?: (?:@user_script:\s*\d+: )?(?:-)?([A-Z]{3,} .*)$/s.exec(
    message,
  )?.[1];
  const text = redirected ?? nested ?? message;
  const word = /^([A-Z]+)\b/.exec(text)?.[1] ?? '';
  if (Object.hasOwn(replies, word)) return replies[word];
  for (const [pattern, trouble] of clientErrors) {
    // The client gives up after redirections: the command was refused each time.
    if (pattern.test(text)) return redirected === undefined ? trouble : 'moved';
  }
  if (redirected !== undefined) return 'moved';
  if (connectionNames.has(name)) return 'connection';
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && connectionCodes.has(code) ? 'connection' : undefined;
}
