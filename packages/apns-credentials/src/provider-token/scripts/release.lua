-- Gives a lock back, unless it is another's by now.
--
-- KEYS[1]  lock
-- ARGV[1]  owner
local lock = unpack(KEYS)
local owner = unpack(ARGV)

if redis.call('GET', lock) == owner then return redis.call('DEL', lock) end
return 0
