-- Looks at an app without touching anything. Returns its pauses, then for each lane how many jobs wait, when the first of
-- the delayed ones is due (as BullMQ scores it), and how many are active.
--
-- KEYS[1]  pauses    of the app
-- KEYS[+]  queues    wait, delayed and active of each lane
local pauses = unpack(KEYS, 1, 1)

local answer = { redis.call('HGETALL', pauses) }
for at = 2, #KEYS, 3 do
  answer[#answer + 1] = {
    redis.call('LLEN', KEYS[at]),
    redis.call('ZRANGE', KEYS[at + 1], 0, 0, 'WITHSCORES')[2] or '',
    redis.call('LLEN', KEYS[at + 2]),
  }
end
return answer
