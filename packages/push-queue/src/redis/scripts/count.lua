-- Counts what was enqueued, what has settled and what is in the queues of an app, of the same moment. A script, since a
-- Redis that is full takes no transaction, not even of reads. Returns both hashes, then for each lane how many push jobs
-- wait, are active and are delayed, and the id of the one that waits longest.
--
-- KEYS[1]  totals    of the app
-- KEYS[2]  counts    of what lies in its queues
-- KEYS[+]  queues    wait, active and delayed of each lane
local totals, counts = unpack(KEYS, 1, 2)

local answer = { redis.call('HGETALL', totals), redis.call('HGETALL', counts) }
for at = 3, #KEYS, 3 do
  answer[#answer + 1] = {
    redis.call('LLEN', KEYS[at]),
    redis.call('LLEN', KEYS[at + 1]),
    redis.call('ZCARD', KEYS[at + 2]),
    redis.call('LINDEX', KEYS[at], -1), -- BullMQ takes from the end.
  }
end
return answer
