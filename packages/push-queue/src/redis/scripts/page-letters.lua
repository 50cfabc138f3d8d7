-- Reads descriptions of letters, the newest first, and never their data. Returns the number of letters, the sums, and id,
-- description and bytes of each letter.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- ARGV[1]  base      what the key of a letter begins with
-- ARGV[2]  limit     letters, at most
-- ARGV[+]  after     time and id to go on after, or a time to begin at, or nothing
local index, sums = unpack(KEYS)
local base, limit = unpack(ARGV, 1, 2)

local start = 0
if ARGV[3] then
  local rank = redis.call('ZREVRANK', index, ARGV[4] or '')
  start = rank and rank + 1 or redis.call('ZCOUNT', index, '(' .. ARGV[3], '+inf')
end
-- A gateway may give reasons of its own: of more than so many sums, some reasons are told.
local mostSums = 1000
local told
if redis.call('HLEN', sums) <= mostSums then told = redis.call('HGETALL', sums)
else
  told = redis.call('HSCAN', sums, 0, 'MATCH', 'reason:*', 'COUNT', mostSums)[2]
  for _, name in ipairs({ 'bytes', 'trimmed-age', 'trimmed-bytes', 'trimmed-notifications' }) do
    told[#told + 1] = name
    told[#told + 1] = redis.call('HGET', sums, name) or '0'
  end
end
local page = { redis.call('ZCARD', index), told }
for _, id in ipairs(redis.call('ZREVRANGE', index, start, start + tonumber(limit) - 1)) do
  local fields = redis.call('HMGET', base .. id, 'meta', 'bytes')
  page[#page + 1] = { id, fields[1] or '', fields[2] or '0' }
end
return page
