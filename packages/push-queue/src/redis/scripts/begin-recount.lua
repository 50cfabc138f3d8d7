-- Begins a recount, unless another one runs. It marks every push job with a new epoch, a page at a time, and counts those
-- that it marks. What is enqueued meanwhile has that epoch already, what ends meanwhile leaves both counts. When all are
-- marked the new counts take the place of the old ones. Returns 1 where it has begun, else 0.
--
-- KEYS[1]  counts
-- ARGV[1]  epoch         of the recount
-- ARGV[2]  patienceMs    how long it is waited for between two pages
local counts = unpack(KEYS)
local epoch, patienceMs = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', counts, 'epoch', 'next', 'next-until')
if found[2] and tonumber(found[3] or 0) > now then return 0 end
-- Counts without an epoch are not to be mixed up with any that have been lost.
if not found[1] then redis.call('HSET', counts, 'epoch', epoch .. 'x') end
redis.call('HSET', counts, 'next', epoch, 'next-until', now + patienceMs, 'next-queued-notifications', 0,
  'next-queued-bytes', 0, 'next-scheduled-notifications', 0, 'next-scheduled-bytes', 0)
return 1
