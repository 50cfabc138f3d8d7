-- Finds the job that a lock token holds. Returns its id and its data, or false.
--
-- KEYS[1]  active
-- ARGV[1]  base      what the key of a job begins with
-- ARGV[2]  token     of the lock
local active = unpack(KEYS)
local base, token = unpack(ARGV)

for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
  if redis.call('GET', base .. id .. ':lock') == token then
    return { id, redis.call('HGET', base .. id, 'data') or '' }
  end
end
return false
