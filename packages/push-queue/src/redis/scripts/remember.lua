#!lua flags=allow-oom
-- Stores a record of idempotency, unless there is one. Returns the one that there is, or false.
--
-- KEYS[1]  record
-- ARGV[1]  value     what it is to hold
-- ARGV[2]  lifeMs    for how long
local record = unpack(KEYS)
local value, lifeMs = unpack(ARGV)

if redis.call('SET', record, value, 'PX', lifeMs, 'NX') then return false end
return redis.call('GET', record)
