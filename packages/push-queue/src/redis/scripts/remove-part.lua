#!lua flags=allow-oom
-- Takes a part of a letter away. Returns 'gone', 'changed' since it was read, or 'part'.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- ARGV[1]  base                what the key of a letter begins with
-- ARGV[2]  id
-- ARGV[3]  description         that was read
-- ARGV[4]  name                of the letter
-- ARGV[5]  atMs                its time, epoch milliseconds
-- ARGV[6]  restData
-- ARGV[7]  restDescription
-- ARGV[8]  restCount           notifications of the rest
local index, sums = unpack(KEYS)
local base, id, description, name, atMs, restData, restDescription, restCount = unpack(ARGV)
-- @include letters

if not redis.call('ZSCORE', index, id) then return 'gone' end
if redis.call('HGET', base .. id, 'meta') ~= description then return 'changed' end
local isReplaying = redis.call('HEXISTS', base .. id, 'replaying') == 1
remove(index, sums, base, id)
put(index, sums, base,
  { id = id, name = name, data = restData, meta = restDescription, count = restCount, at = atMs })
if isReplaying then redis.call('HSET', base .. id, 'replaying', 1) end
return 'part'
