#!lua flags=allow-oom
-- Says that a worker is alive, and what it says of its apps. Time is that of Redis.
--
-- KEYS[1]  workers   those that are alive
-- KEYS[2]  worker    this one
-- ARGV[1]  id
-- ARGV[2]  lifeMs    how long that is good for
-- ARGV[3]  words     JSON
local workers, worker = unpack(KEYS)
local id, lifeMs, words = unpack(ARGV)

local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', nowMs)
redis.call('ZADD', workers, nowMs + lifeMs, id)
redis.call('SET', worker, words, 'PX', lifeMs)
return 1
