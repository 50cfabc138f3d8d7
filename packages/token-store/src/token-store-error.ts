/** What went wrong at the database; stable, usable as a metric label. */
export type TokenStoreErrorCode =
  /** Postgres cannot be reached, is starting or stopping, or cut the connection. */
  | 'unavailable'
  /** Postgres does not let us in, or not at what was asked for: password, role, database, rights. */
  | 'access-denied'
  /** A statement, a lock or a connection took too long. */
  | 'timeout'
  /** Deadlocks or serialization failures, again after every retry. */
  | 'conflict'
  /** Postgres has no room left: disk, memory, connections. */
  | 'out-of-resources'
  /** The schema is not the one that this version needs. */
  | 'schema-outdated'
  /** The migrations could not be run. */
  | 'migration-failed'
  /** There is something of that name already. */
  | 'name-taken'
  /** Anything else: a bug, or data that Postgres does not take. */
  | 'query-failed';

export class TokenStoreError extends Error {
  override readonly name = 'TokenStoreError';
  readonly code: TokenStoreErrorCode;

  constructor(code: TokenStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the same call may succeed later, the data being all right. */
  get isTransient(): boolean {
    return !['query-failed', 'schema-outdated', 'migration-failed', 'name-taken'].includes(this.code);
  }
}

// SQLSTATE classes and codes (PostgreSQL, appendix A), and Node's codes of sockets.

const conflicts = new Set(['40001', '40P01']);
const timeouts = new Set(['57014', '55P03', '25P03', '25P04', '57P05']);
const schemaCodes = new Set(['42P01', '42703', '42883', '3F000']);

/** Names each error of `pg`. */
export function asTokenStoreError(error: unknown): TokenStoreError {
  if (error instanceof TokenStoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error, message);
  return new TokenStoreError(code, `Postgres: ${withoutValues(error, message)}`, { cause: stripped(error) });
}

/** What Postgres says of data (SQLSTATE classes 22 and 23) quotes it; its state says what was wrong. */
function withoutValues(error: unknown, message: string): string {
  const state = sqlStateOf(error);
  if (state === undefined || !/^2[23]/.test(state)) return message;
  const { constraint } = error as { constraint?: string };
  return `it does not take the data (${state}${constraint === undefined ? '' : `, ${constraint}`})`;
}

/** Fields of an error of Postgres that quote rows, and queries with what is in them. */
const quoting = [
  'detail',
  'where',
  'hint',
  'internalQuery',
  'parameters',
  'query',
  'values',
  'dataType',
] as const;

/** Takes away what an error quotes of the data, here, where it enters. */
function stripped(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const fields = error as Error & Record<string, unknown>;
  for (const name of quoting) delete fields[name];
  const message = withoutValues(error, error.message);
  if (message !== error.message) {
    if (error.stack !== undefined) error.stack = error.stack.replace(error.message, message);
    error.message = message;
  }
  return error;
}

/** Whether trying the transaction again at once is what Postgres asks for. */
export function isConflict(error: unknown): boolean {
  return conflicts.has(sqlStateOf(error) ?? '');
}

function codeOf(error: unknown, message: string): TokenStoreErrorCode {
  const state = sqlStateOf(error);
  if (state === undefined) {
    if (/timeout|timed out/i.test(message)) return 'timeout';
    const isNetwork =
      typeof (error as NodeJS.ErrnoException | undefined)?.code === 'string' ||
      /connection|terminated|not queryable|socket|ended/i.test(message);
    return isNetwork ? 'unavailable' : 'query-failed';
  }
  if (conflicts.has(state)) return 'conflict';
  if (timeouts.has(state)) return 'timeout';
  if (schemaCodes.has(state)) return 'schema-outdated';
  if (state.startsWith('53')) return 'out-of-resources';
  // 28: password, role, pg_hba.conf; 3D000: no such database; 42501: a right that was not granted.
  if (state.startsWith('28') || state === '3D000' || state === '42501') return 'access-denied';
  // 08: connection; 57P: shutdown, crash, cannot connect now; 58: system error, such as an I/O error; 25006: a
  // standby that is not promoted yet.
  if (state.startsWith('08') || state.startsWith('57P') || state.startsWith('58') || state === '25006') {
    return 'unavailable';
  }
  return 'query-failed';
}

/** Five characters, of which the network's codes never are. */
function sqlStateOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E') ? code : undefined;
}
