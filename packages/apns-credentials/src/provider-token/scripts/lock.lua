#!lua flags=allow-oom
-- Takes a lock. Returns the time by the clock of Redis, epoch milliseconds; false: another has it.
--
-- KEYS[1]  lock
-- ARGV[1]  owner
-- ARGV[2]  lifeMs    for how long
local lock = unpack(KEYS)
local owner, lifeMs = unpack(ARGV)

if not redis.call('SET', lock, owner, 'NX', 'PX', lifeMs) then return false end
local now = redis.call('TIME')
return now[1] * 1000 + math.floor(now[2] / 1000)
