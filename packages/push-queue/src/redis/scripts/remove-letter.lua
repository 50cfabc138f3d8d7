#!lua flags=allow-oom
-- Takes a letter away. Returns 1 where it was there, else 0.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- KEYS[3]  record          of idempotency, of the letter's replay
-- ARGV[1]  base            what the key of a letter begins with
-- ARGV[2]  id
-- ARGV[3]  recordLifeMs    how long the record is kept from now on, at most
local index, sums, record = unpack(KEYS)
local base, id, recordLifeMs = unpack(ARGV)
-- @include letters

local count = remove(index, sums, base, id)
if redis.call('PTTL', record) > tonumber(recordLifeMs) then redis.call('PEXPIRE', record, recordLifeMs) end
return count and 1 or 0
