import { expect, test } from 'vitest';
import { redisTroubleOf } from '../src/index.ts';
import { isRefusal } from '../src/redis/trouble.ts';

const named = (name: string, message: string) => Object.assign(new Error(message), { name });
const coded = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

test.each([
  ["READONLY You can't write against a read only replica.", 'role', true],
  ["READONLY You can't write against a read only replica. script: 5ab4, on @user_script:589.", 'role', true],
  ['ERR Error running script (call to f_5ab): @user_script:1: READONLY You cannot write', 'role', true],
  ['ERR Error running script (call to f_5ab): @user_script: 12: -OOM command not allowed', 'space', true],
  ['LOADING Redis is loading the dataset in memory', 'role', true],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'role', true],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'space', true],
  ['MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.', 'space', true],
  ['NOREPLICAS Not enough good replicas to write.', 'space', true],
  ['MOVED 3999 127.0.0.1:6381', 'moved', true],
  ['ASK 3999 127.0.0.1:6381', 'moved', true],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'moved', true],
  ['CLUSTERDOWN Hash slot not served', 'moved', true],
  ['Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:1', 'moved', true],
  ['Too many Cluster redirections. Last error: Error: Connection is closed.', 'moved', true],
  ['NOAUTH Authentication required.', 'rights', true],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'rights', true],
  ["NOPERM User worker has no permissions to run the 'info' command", 'rights', true],
  ['BUSY Redis is busy running a script.', 'busy', true],
  ['NOSCRIPT No matching script. Please use EVAL.', 'script', true],
  ["Stream isn't writeable and enableOfflineQueue options is false", 'not-sent', true],
  ["Cluster isn't ready and enableOfflineQueue options is false", 'not-sent', true],
  ['Connection is closed.', 'connection', false],
  ['Command timed out', 'connection', false],
  ['ERR wrong number of arguments', undefined, false],
  ['MOVEDX is no word of Redis', undefined, false],
])('%s', (message, trouble, isNotStored) => {
  expect(redisTroubleOf(new Error(message))).toBe(trouble);
  expect(isRefusal(redisTroubleOf(new Error(message)))).toBe(isNotStored);
  // As BullMQ passes it on.
  expect(redisTroubleOf(new Error('a script failed', { cause: new Error(message) }))).toBe(trouble);
});

test('a discarded transaction means what its commands were refused for', () => {
  const aborted = Object.assign(new Error('EXECABORT Transaction discarded because of previous errors.'), {
    previousErrors: [new Error("OOM command not allowed when used memory > 'maxmemory'.")],
  });
  expect(redisTroubleOf(aborted)).toBe('space');
  // The connection is as good as before: it is not the same as a command that was never sent.
  const unknown = new Error('EXECABORT Transaction discarded because of previous errors.');
  expect(redisTroubleOf(unknown)).toBe('aborted');
  expect(isRefusal(redisTroubleOf(unknown))).toBe(true);
});

test('errors of the network, and the name of a client that gave up, mean the connection', () => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']) {
    expect(redisTroubleOf(coded(code))).toBe('connection');
  }
  expect(redisTroubleOf(named('MaxRetriesPerRequestError', 'gave up'))).toBe('connection');
  expect(redisTroubleOf(named('ClusterAllFailedError', 'all nodes failed'))).toBe('connection');
  expect(redisTroubleOf(new TypeError('x is undefined'))).toBeUndefined();
  expect(redisTroubleOf('READONLY')).toBeUndefined();
});
