import { releaseFunction } from '../held-scripts.ts';
import { waitsField } from '../push-job/progress.ts';
import { shareField } from '../push-job/share.ts';
import { wayOut } from '../way-out.ts';

// What a worker does in Redis beside BullMQ's own scripts. Each runs in the slot of one app, and each that changes a
// job asks for its lock first: a worker that lost a job to another must neither report it nor overwrite its progress.

/**
 * Says what became of a push job, once, and writes down that nothing of it is left: whoever takes it again, because we
 * died before it was ended, must not send it again. The holder that has reported it hears the same when it asks again;
 * any other hears `already`. Jobs that other programs added are counted here, as enqueued and
 * as settled. KEYS: job, lock, outcomes, totals, trace, counts. ARGV: lock token, report, trace, trace's life in ms, channel,
 * message, progress, traceparent or nothing, then fields of the totals and what each rises by: first what was enqueued.
 */
export const reportScript = `${wayOut}${releaseFunction}
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'lost' end
if redis.call('HSETNX', KEYS[1], 'reported', ARGV[1]) == 0 then
  if redis.call('HGET', KEYS[1], 'reported') == ARGV[1] then return 'reported' end
  return 'already'
end
redis.call('HSET', KEYS[1], 'progress', ARGV[7])
if ARGV[8] == '' then redis.call('XADD', KEYS[3], '*', 'report', ARGV[2])
else redis.call('XADD', KEYS[3], '*', 'report', ARGV[2], 'traceparent', ARGV[8]) end
local isCounted = redis.call('HEXISTS', KEYS[1], '${shareField}') == 1
for at = isCounted and 11 or 9, #ARGV, 2 do redis.call('HINCRBY', KEYS[4], ARGV[at], ARGV[at + 1]) end
release(KEYS[1], KEYS[6])
redis.call('SET', KEYS[5], ARGV[3], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'reported'`;

/**
 * Writes down how far push jobs of one queue have come. Gives for each `kept`, `lost` or `gone`. KEYS: job and lock of
 * each. ARGV: lock token, progress and waits of each; nothing instead of waits: they stay as they are.
 */
export const checkpointScript = `${wayOut}
local answer = {}
for at = 1, #KEYS, 2 do
  local arg = (at - 1) / 2 * 3
  local result = 'kept'
  if redis.call('EXISTS', KEYS[at]) == 0 then result = 'gone'
  elseif redis.call('GET', KEYS[at + 1]) ~= ARGV[arg + 1] then result = 'lost'
  else
    redis.call('HSET', KEYS[at], 'progress', ARGV[arg + 2])
    if ARGV[arg + 3] ~= '' then redis.call('HSET', KEYS[at], '${waitsField}', ARGV[arg + 3]) end
  end
  answer[#answer + 1] = result
end
return answer`;

/**
 * Renews locks; gives the ids of the jobs that are no longer ours. A lock that ran out while Redis was away is taken
 * again as long as the job is active: nobody else can have it then. KEYS: stalled, active. ARGV: key prefix of the
 * jobs, duration in ms, then id and token of each.
 */
export const renewScript = `${wayOut}
local lost = {}
for at = 3, #ARGV, 2 do
  local id, token = ARGV[at], ARGV[at + 1]
  local lock = ARGV[1] .. id .. ':lock'
  local holder = redis.call('GET', lock)
  if holder == token or (not holder and redis.call('LPOS', KEYS[2], id)) then
    redis.call('SET', lock, token, 'PX', ARGV[2])
    redis.call('SREM', KEYS[1], id)
  else
    lost[#lost + 1] = id
  end
end
return lost`;

/**
 * Looks at an app without touching anything: its pauses, then for each lane how many jobs wait, when the first of
 * the delayed ones is due (as BullMQ scores it), and how many are active. KEYS: pauses, then wait, delayed and active
 * of each lane.
 */
export const peekScript = `
local answer = { redis.call('HGETALL', KEYS[1]) }
for at = 2, #KEYS, 3 do
  answer[#answer + 1] = redis.call('LLEN', KEYS[at])
  answer[#answer + 1] = redis.call('ZRANGE', KEYS[at + 1], 0, 0, 'WITHSCORES')[2] or ''
  answer[#answer + 1] = redis.call('LLEN', KEYS[at + 2])
end
return answer`;

/** Finds the job that a lock token holds, and its data. KEYS: active. ARGV: key prefix of the jobs, token. */
export const findTakenScript = `
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if redis.call('GET', ARGV[1] .. id .. ':lock') == ARGV[2] then
    return { id, redis.call('HGET', ARGV[1] .. id, 'data') or '' }
  end
end
return false`;
