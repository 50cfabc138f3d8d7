import { randomBytes } from 'node:crypto';
import { shareField } from './push-job/share.ts';

// The counts of what lies in an app's queues, which its quota is held against. They rise in the transaction that adds
// push jobs and fall with a job's outcome report. Each job carries the mark of what it was counted as, with the epoch
// of the counts: what an earlier version put there, or what lay there when the counts were lost, has another mark or
// none, takes nothing away, and is counted anew (`recountScript`).
//
// Hash at `heldKey`: `epoch`; `<class>-notifications` and `<class>-bytes`; while a recount runs `next`, its epoch,
// `next-<class>-…` and `next-until`, when it is given up; `apart`, by how many notifications the counts differed from
// the sums of the app when they were last counted.

/** Field of a push job: epoch/class/notifications/bytes. */
export const heldField = 'held';

/** What Redis needs for a push job beside its data and options, bytes: the rest of its hash, keys, its place in a list. */
export const jobOverheadBytes = 800;

/** No two counts have the same. */
export function createEpoch(): string {
  return randomBytes(4).toString('hex');
}

const functions = `
local function job_bytes(job)
  return redis.call('HSTRLEN', job, 'data') + redis.call('HSTRLEN', job, 'opts') + ${jobOverheadBytes}
end

local function raise(held, prefix, class, notifications, bytes)
  redis.call('HINCRBY', held, prefix .. class .. '-notifications', notifications)
  redis.call('HINCRBY', held, prefix .. class .. '-bytes', bytes)
end
`;

/** A push job has ended: takes it out of the counts. */
export const releaseFunction = `${functions}
local function release(job, held)
  local mark = redis.call('HGET', job, '${heldField}') or ''
  local epoch, class, notifications, bytes = string.match(mark, '^(%w+)/(%a+)/(%d+)/(%d+)$')
  if not epoch then return end
  local epochs = redis.call('HMGET', held, 'epoch', 'next')
  if epoch ~= epochs[1] and epoch ~= epochs[2] then return end
  raise(held, '', class, -notifications, -bytes)
  if epoch == epochs[2] then raise(held, 'next-', class, -notifications, -bytes) end
end
`;

/**
 * Ends the transaction that BullMQ's scripts have added push jobs in: looks whether they are there, holds them against
 * the quota, and counts and remembers them; or takes them away again, so that nobody has seen them.
 * KEYS: sums of the app, counts, wait, delayed, the jobs, the records. ARGV: field of the sum, number of notifications,
 * number of jobs, life of the records in ms, class, most notifications and bytes of the class, an epoch for counts that
 * there are not; then notifications and share of each job, then the records.
 * Gives `added`, `not-added`, or the notifications and bytes that there are, and the bytes that were asked for.
 */
export const admitScript = `${functions}
local sums, held = KEYS[1], KEYS[2]
local jobs, class = tonumber(ARGV[3]), ARGV[5]
local asked = 0
for i = 1, jobs do
  local job = KEYS[4 + i]
  if redis.call('EXISTS', job) == 0 then return 'not-added' end
  asked = asked + job_bytes(job)
end
local found = redis.call('HMGET', held, 'epoch', 'next', class .. '-notifications', class .. '-bytes')
local notifications = math.max(0, tonumber(found[3] or 0))
local bytes = math.max(0, tonumber(found[4] or 0))
if notifications + ARGV[2] > tonumber(ARGV[6]) or bytes + asked > tonumber(ARGV[7]) then
  for i = 1, jobs do
    local id = string.match(KEYS[4 + i], '[^:]+$')
    -- It is the first: BullMQ's script ran just before.
    if redis.call('ZREM', KEYS[4], id) == 0 then redis.call('LREM', KEYS[3], 1, id) end
    redis.call('DEL', KEYS[4 + i])
  end
  return { notifications, bytes, asked }
end
local epoch = found[2] or found[1]
if not epoch then
  epoch = ARGV[8]
  redis.call('HSET', held, 'epoch', epoch)
end
for i = 1, jobs do
  local job = KEYS[4 + i]
  local mark = table.concat({ epoch, class, ARGV[7 + 2 * i], job_bytes(job) }, '/')
  redis.call('HSET', job, '${shareField}', ARGV[8 + 2 * i], '${heldField}', mark)
end
for i = jobs + 5, #KEYS do redis.call('SET', KEYS[i], ARGV[i + jobs + 4], 'PX', ARGV[4]) end
redis.call('HINCRBY', sums, ARGV[1], ARGV[2])
raise(held, '', class, ARGV[2], asked)
if found[2] then raise(held, 'next-', class, ARGV[2], asked) end
return 'added'`;

// A recount marks every push job with a new epoch, a page at a time, and counts those that it marks. What is enqueued
// meanwhile has that epoch already, what ends meanwhile leaves both counts. When all are marked the new counts take
// the place of the old ones.

/**
 * Begins a recount, unless another one runs. KEYS: counts. ARGV: its epoch, how long it is waited for between two
 * pages, ms. Gives 1 or 0.
 */
export const beginRecountScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'epoch', 'next', 'next-until')
if found[2] and tonumber(found[3] or 0) > now then return 0 end
-- Counts without an epoch are not to be mixed up with any that have been lost.
if not found[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[1] .. 'x') end
redis.call('HSET', KEYS[1], 'next', ARGV[1], 'next-until', now + ARGV[2], 'next-queued-notifications', 0,
  'next-queued-bytes', 0, 'next-scheduled-notifications', 0, 'next-scheduled-bytes', 0)
return 1`;

/**
 * Marks and counts a page of push jobs. KEYS: counts, a list of ids or a sorted set of them. ARGV: key prefix of the
 * jobs, epoch of the recount, how long it is waited for, ms, where the page begins and how many it has; for a sorted
 * set also the score that it begins at, of which so many are to be passed over. Gives where the next begins, and its
 * score; nothing: the recount has been given up.
 */
export const recountPageScript = `${functions}
local held, base, next = KEYS[1], ARGV[1], ARGV[2]
local epochs = redis.call('HMGET', held, 'epoch', 'next')
if epochs[2] ~= next then return false end
local time = redis.call('TIME')
redis.call('HSET', held, 'next-until', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3])
local from, most, score = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local ids = {}
local following = from
if score then
  local found = redis.call('ZRANGEBYSCORE', KEYS[2], score, '+inf', 'WITHSCORES', 'LIMIT', from, most)
  for at = 1, #found, 2 do
    ids[#ids + 1] = found[at]
    if found[at + 1] == score then following = following + 1 else score, following = found[at + 1], 1 end
  end
else
  ids = redis.call('LRANGE', KEYS[2], from, from + most - 1)
  following = from + #ids
end
for _, id in ipairs(ids) do
  local job = base .. id
  local fields = redis.call('HMGET', job, '${heldField}', '${shareField}', 'reported', 'opts')
  local notifications = string.match(fields[2] or '', '^%d+')
  local epoch, class = string.match(fields[1] or '', '^(%w+)/(%a+)/')
  if notifications and not fields[3] and epoch ~= next then
    if not class then
      local is_read, opts = pcall(cjson.decode, fields[4] or '')
      class = is_read and (tonumber(opts.delay) or 0) > 0 and 'scheduled' or 'queued'
    end
    local bytes = job_bytes(job)
    redis.call('HSET', job, '${heldField}', table.concat({ next, class, notifications, bytes }, '/'))
    raise(held, 'next-', class, notifications, bytes)
    if epoch ~= epochs[1] then raise(held, '', class, notifications, bytes) end
  end
end
return { #ids, following, score or '' }`;

/**
 * Puts the new counts in the place of the old ones. KEYS: counts, sums. ARGV: epoch of the recount; 1 or 0, whether
 * also when they differ from the sums of the app, and then the fields of the sums that rise and that fall with what is
 * queued: names with the signs of their share. Gives `done`, `differs`, or `given-up`.
 */
export const endRecountScript = `
local held = KEYS[1]
if redis.call('HGET', held, 'next') ~= ARGV[1] then return 'given-up' end
local names = { 'queued-notifications', 'queued-bytes', 'scheduled-notifications', 'scheduled-bytes' }
local counts = {}
for at, name in ipairs(names) do counts[at] = tonumber(redis.call('HGET', held, 'next-' .. name) or 0) end
local apart = -counts[1] - counts[3]
for at = 3, #ARGV do
  local sign, field = string.match(ARGV[at], '^([+-])(.*)$')
  local sum = tonumber(redis.call('HGET', KEYS[2], field) or 0)
  apart = apart + (sign == '+' and sum or -sum)
end
if apart ~= 0 and ARGV[2] == '0' then return 'differs' end
for at, name in ipairs(names) do
  redis.call('HSET', held, name, counts[at])
  redis.call('HDEL', held, 'next-' .. name)
end
redis.call('HSET', held, 'epoch', ARGV[1], 'apart', apart)
redis.call('HDEL', held, 'next', 'next-until')
return 'done'`;
