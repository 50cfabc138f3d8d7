#!lua flags=allow-oom
-- Holds back new tokens for a time, unless they are held back already. Returns for how long, milliseconds.
--
-- KEYS[1]  hold
-- ARGV[1]  lifeMs
local hold = unpack(KEYS)
local lifeMs = unpack(ARGV)

redis.call('SET', hold, '1', 'NX', 'PX', lifeMs)
return redis.call('PTTL', hold)
