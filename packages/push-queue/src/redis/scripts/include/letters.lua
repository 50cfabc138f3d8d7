-- All that changes the dead letters of an app keeps the letters, their index and their sums in step, so that the bytes
-- counted are those that lie there.

local function countReasons(sums, meta, sign)
  local isRead, description = pcall(cjson.decode, meta)
  if not isRead then return end
  for reason, count in pairs(description.reasons or {}) do
    local field = 'reason:' .. reason
    if redis.call('HINCRBY', sums, field, sign * count) <= 0 then redis.call('HDEL', sums, field) end
  end
end

-- Returns the notifications of the letter; nil: there was none.
local function remove(index, sums, base, id)
  if redis.call('ZREM', index, id) == 0 then return nil end
  local fields = redis.call('HMGET', base .. id, 'bytes', 'count', 'meta')
  redis.call('DEL', base .. id)
  redis.call('HINCRBY', sums, 'bytes', -(tonumber(fields[1]) or 0))
  countReasons(sums, fields[3] or '', -1)
  return tonumber(fields[2]) or 0
end

local function put(index, sums, base, letter)
  local bytes = #letter.id + #letter.data + #letter.meta
  redis.call('HSET', base .. letter.id, 'name', letter.name, 'data', letter.data, 'meta', letter.meta,
    'bytes', bytes, 'count', letter.count, 'timestamp', letter.at, 'finishedOn', letter.at, 'opts', '{}')
  redis.call('ZADD', index, letter.at, letter.id)
  redis.call('HINCRBY', sums, 'bytes', bytes)
  countReasons(sums, letter.meta, 1)
end

-- Removes letters that are too old, and then the oldest until `needed` bytes fit. Returns how many went for their age and
-- for room, and their notifications.
local function trim(index, sums, base, limits, needed)
  local trimmed = { age = 0, bytes = 0 }
  local notifications = 0
  for _ = 1, limits.letters do
    local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if not first[1] then break end
    local bound
    if tonumber(first[2]) < limits.oldestMs then bound = 'age'
    elseif tonumber(redis.call('HGET', sums, 'bytes') or 0) + needed > limits.bytes then bound = 'bytes'
    else break end
    local count = remove(index, sums, base, first[1])
    notifications = notifications + count
    trimmed[bound] = trimmed[bound] + 1
    redis.call('HINCRBY', sums, 'trimmed-' .. bound, 1)
    redis.call('HINCRBY', sums, 'trimmed-notifications', count)
  end
  return { trimmed.age, trimmed.bytes, notifications }
end
