-- Marks and counts a page of push jobs. Returns how many there were, where the next page begins, and its score; false: the
-- recount has been given up.
--
-- KEYS[1]  counts
-- KEYS[2]  queued        list of ids, or sorted set of them
-- ARGV[1]  base          what the key of a job begins with
-- ARGV[2]  epoch         of the recount
-- ARGV[3]  patienceMs    how long it is waited for between two pages
-- ARGV[4]  from          where the page begins
-- ARGV[5]  limit         how many it has, at most
-- ARGV[+]  score         of a sorted set: the score that it begins at, of which `from` are to be passed over
local counts, queued = unpack(KEYS)
local base, epoch, patienceMs, from, limit = unpack(ARGV, 1, 5)
-- @include counts

local epochs = redis.call('HMGET', counts, 'epoch', 'next')
if epochs[2] ~= epoch then return false end
local time = redis.call('TIME')
redis.call('HSET', counts, 'next-until', time[1] * 1000 + math.floor(time[2] / 1000) + patienceMs)
from, limit = tonumber(from), tonumber(limit)
local score = ARGV[6]
local ids = {}
local following = from
if score then
  local found = redis.call('ZRANGEBYSCORE', queued, score, '+inf', 'WITHSCORES', 'LIMIT', from, limit)
  for at = 1, #found, 2 do
    ids[#ids + 1] = found[at]
    if found[at + 1] == score then following = following + 1 else score, following = found[at + 1], 1 end
  end
else
  ids = redis.call('LRANGE', queued, from, from + limit - 1)
  following = from + #ids
end
for _, id in ipairs(ids) do
  local job = base .. id
  local fields = redis.call('HMGET', job, 'held', 'share', 'reported', 'opts')
  local notifications = string.match(fields[2] or '', '^%d+')
  local marked, class = string.match(fields[1] or '', '^(%w+)/(%a+)/')
  if notifications and not fields[3] and marked ~= epoch then
    if not class then
      local isRead, opts = pcall(cjson.decode, fields[4] or '')
      class = isRead and (tonumber(opts.delay) or 0) > 0 and 'scheduled' or 'queued'
    end
    local bytes = jobBytes(job)
    redis.call('HSET', job, 'held', table.concat({ epoch, class, notifications, bytes }, '/'))
    raise(counts, 'next-', class, notifications, bytes)
    if marked ~= epochs[1] then raise(counts, '', class, notifications, bytes) end
  end
end
return { #ids, following, score or '' }
