-- Puts the new counts in the place of the old ones. Returns 'done', 'differs' from the sums of the app, or 'given-up'.
--
-- KEYS[1]  counts
-- KEYS[2]  sums          of the app
-- ARGV[1]  epoch         of the recount
-- ARGV[2]  isLast        1: also when they differ; else 0
-- ARGV[+]  terms         fields of the sums that rise and that fall with what is queued, each behind + or -
local counts, sums = unpack(KEYS)
local epoch, isLast = unpack(ARGV, 1, 2)

if redis.call('HGET', counts, 'next') ~= epoch then return 'given-up' end
local names = { 'queued-notifications', 'queued-bytes', 'scheduled-notifications', 'scheduled-bytes' }
local found = {}
for at, name in ipairs(names) do found[at] = tonumber(redis.call('HGET', counts, 'next-' .. name) or 0) end
local apart = -found[1] - found[3]
for at = 3, #ARGV do
  local sign, field = string.match(ARGV[at], '^([+-])(.*)$')
  local sum = tonumber(redis.call('HGET', sums, field) or 0)
  apart = apart + (sign == '+' and sum or -sum)
end
if apart ~= 0 and isLast == '0' then return 'differs' end
for at, name in ipairs(names) do
  redis.call('HSET', counts, name, found[at])
  redis.call('HDEL', counts, 'next-' .. name)
end
redis.call('HSET', counts, 'epoch', epoch, 'apart', apart)
redis.call('HDEL', counts, 'next', 'next-until')
return 'done'
