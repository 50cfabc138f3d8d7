#!lua flags=allow-oom
-- Marks a batch, or some of its notifications, as cancelled. Also where Redis is full: what is cancelled makes room in it.
--
-- KEYS[1]  cancelled       set of what is cancelled of the batch
-- KEYS[2]  cancellations   there while anything of the app is cancelled
-- KEYS[3]  times           when each was first asked for
-- ARGV[1]  lifeMs          for how long
-- ARGV[2]  nowMs           epoch milliseconds
-- ARGV[+]  members         indexes in the batch, or 0 for all of it
local cancelled, cancellations, times = unpack(KEYS)
local lifeMs, nowMs = unpack(ARGV, 1, 2)

for at = 3, #ARGV do
  redis.call('SADD', cancelled, ARGV[at])
  redis.call('HSETNX', times, ARGV[at], nowMs)
end
redis.call('PEXPIRE', cancelled, lifeMs)
redis.call('PEXPIRE', times, lifeMs)
if redis.call('PTTL', cancellations) < tonumber(lifeMs) then redis.call('SET', cancellations, 1, 'PX', lifeMs) end
return 1
