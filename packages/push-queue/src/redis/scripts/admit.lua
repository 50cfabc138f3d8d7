-- Ends the transaction that BullMQ's scripts have added push jobs in: looks whether they are there, holds them against
-- the quota, and counts and remembers them; or takes them away again, so that nobody has seen them. Returns 'added',
-- 'not-added', or the notifications and bytes that there are, and the bytes that were asked for.
--
-- KEYS[1]  sums              of the app
-- KEYS[2]  counts            of what lies in its queues
-- KEYS[3]  wait
-- KEYS[4]  delayed
-- KEYS[+]  jobs              that were added
-- KEYS[+]  records           of idempotency
-- ARGV[1]  sumField          field of the sums that rises
-- ARGV[2]  notifications     in all jobs
-- ARGV[3]  jobCount
-- ARGV[4]  recordLifeMs
-- ARGV[5]  class             queued or scheduled
-- ARGV[6]  maxNotifications  of the class
-- ARGV[7]  maxBytes          of the class
-- ARGV[8]  newEpoch          for counts that there are not yet
-- ARGV[+]  shares            notifications and share of each job
-- ARGV[+]  values            of the records
local sums, counts, wait, delayed = unpack(KEYS, 1, 4)
local sumField, notifications, jobCount, recordLifeMs, class, maxNotifications, maxBytes, newEpoch =
  unpack(ARGV, 1, 8)
-- @include counts

jobCount = tonumber(jobCount)
local asked = 0
for i = 1, jobCount do
  local job = KEYS[4 + i]
  if redis.call('EXISTS', job) == 0 then return 'not-added' end
  asked = asked + jobBytes(job)
end
local found = redis.call('HMGET', counts, 'epoch', 'next', class .. '-notifications', class .. '-bytes')
local usedNotifications = math.max(0, tonumber(found[3] or 0))
local usedBytes = math.max(0, tonumber(found[4] or 0))
if usedNotifications + notifications > tonumber(maxNotifications) or usedBytes + asked > tonumber(maxBytes) then
  for i = 1, jobCount do
    local id = string.match(KEYS[4 + i], '[^:]+$')
    -- It is the first: BullMQ's script ran just before.
    if redis.call('ZREM', delayed, id) == 0 then redis.call('LREM', wait, 1, id) end
    redis.call('DEL', KEYS[4 + i])
  end
  return { usedNotifications, usedBytes, asked }
end
local epoch = found[2] or found[1]
if not epoch then
  epoch = newEpoch
  redis.call('HSET', counts, 'epoch', epoch)
end
for i = 1, jobCount do
  local job = KEYS[4 + i]
  local mark = table.concat({ epoch, class, ARGV[7 + 2 * i], jobBytes(job) }, '/')
  redis.call('HSET', job, 'share', ARGV[8 + 2 * i], 'held', mark)
end
for i = jobCount + 5, #KEYS do redis.call('SET', KEYS[i], ARGV[i + jobCount + 4], 'PX', recordLifeMs) end
redis.call('HINCRBY', sums, sumField, notifications)
raise(counts, '', class, notifications, asked)
if found[2] then raise(counts, 'next-', class, notifications, asked) end
return 'added'
