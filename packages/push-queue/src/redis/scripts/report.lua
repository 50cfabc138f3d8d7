#!lua flags=allow-oom
-- Says what became of a push job, once, and writes down that nothing of it is left: whoever takes it again, because we
-- died before it was ended, must not send it again. Jobs that other programs added are counted here, as enqueued and as
-- settled. Returns 'reported', also to the holder that has reported it before; 'already' to any other; 'lost' where the
-- lock is another's; 'gone' where the job has ended.
--
-- KEYS[1]  job
-- KEYS[2]  lock          of the job
-- KEYS[3]  outcomes      stream of the app
-- KEYS[4]  totals        of the app
-- KEYS[5]  endedBatch    stands for a batch whose report may not be in Postgres yet
-- KEYS[6]  counts        of what lies in the app's queues
-- ARGV[1]  token         of the lock
-- ARGV[2]  report
-- ARGV[3]  batch         what endedBatch is to hold
-- ARGV[4]  batchLifeMs   for how long
-- ARGV[5]  channel       of the doorbell
-- ARGV[6]  message       for it
-- ARGV[7]  progress      of a job of which nothing is left
-- ARGV[8]  traceparent   or nothing
-- ARGV[+]  rises         fields of the totals, and what each rises by: first what was enqueued
local job, lock, outcomes, totals, endedBatch, counts = unpack(KEYS)
local token, report, batch, batchLifeMs, channel, message, progress, traceparent = unpack(ARGV, 1, 8)
-- @include counts

if redis.call('EXISTS', job) == 0 then return 'gone' end
if redis.call('GET', lock) ~= token then return 'lost' end
if redis.call('HSETNX', job, 'reported', token) == 0 then
  if redis.call('HGET', job, 'reported') == token then return 'reported' end
  return 'already'
end
redis.call('HSET', job, 'progress', progress)
if traceparent == '' then redis.call('XADD', outcomes, '*', 'report', report)
else redis.call('XADD', outcomes, '*', 'report', report, 'traceparent', traceparent) end
-- What was counted when it was enqueued is not counted as enqueued again.
local isCounted = redis.call('HEXISTS', job, 'share') == 1
for at = isCounted and 11 or 9, #ARGV, 2 do redis.call('HINCRBY', totals, ARGV[at], ARGV[at + 1]) end
release(job, counts)
redis.call('SET', endedBatch, batch, 'PX', batchLifeMs)
redis.call('PUBLISH', channel, message)
return 'reported'
