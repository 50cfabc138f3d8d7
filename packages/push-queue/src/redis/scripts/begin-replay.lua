-- Begins the replay of a letter or of a part of it, which becomes a letter of its own. Once begun, a letter is replayed as
-- it is. Returns 'gone', 'changed' since it was read, 'whole' or 'part'.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- ARGV[1]  base            what the key of a letter begins with
-- ARGV[2]  id
-- ARGV[3]  description     that was read
-- ARGV[+]  part            for a part only: name and time; id, data, description and notifications of the part; data,
--                          description and notifications of the rest
local index, sums = unpack(KEYS)
local base, id, description = unpack(ARGV, 1, 3)
-- @include letters

if not redis.call('ZSCORE', index, id) then return 'gone' end
if redis.call('HGET', base .. id, 'meta') ~= description then return 'changed' end
if redis.call('HEXISTS', base .. id, 'replaying') == 1 then return 'whole' end
if #ARGV == 3 then
  redis.call('HSET', base .. id, 'replaying', 1)
  return 'whole'
end
local name, at = ARGV[4], ARGV[5]
local part = { id = ARGV[6], name = name, data = ARGV[7], meta = ARGV[8], count = ARGV[9], at = at }
local rest = { id = id, name = name, data = ARGV[10], meta = ARGV[11], count = ARGV[12], at = at }
remove(index, sums, base, id)
put(index, sums, base, part)
redis.call('HSET', base .. part.id, 'replaying', 1)
put(index, sums, base, rest)
return 'part'
