#!lua flags=allow-oom
-- Writes down a change for the audit log. Returns 0 where too many wait already, else 1. Also where Redis is full: pausing
-- and cancelling work there too.
--
-- KEYS[1]  outbox
-- ARGV[1]  id
-- ARGV[2]  entry         JSON
-- ARGV[3]  maxEntries
local outbox = unpack(KEYS)
local id, entry, maxEntries = unpack(ARGV)

if redis.call('HEXISTS', outbox, id) == 0 and redis.call('HLEN', outbox) >= tonumber(maxEntries) then return 0 end
redis.call('HSET', outbox, id, entry)
return 1
