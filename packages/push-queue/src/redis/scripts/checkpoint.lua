#!lua flags=allow-oom
-- Writes down how far push jobs of one queue have come. Returns 'kept', 'lost' or 'gone' for each.
--
-- KEYS[+]  jobs      job and lock of each
-- ARGV[+]  states    lock token, progress and waits of each; nothing instead of waits: they stay as they are
local answer = {}
for at = 1, #KEYS, 2 do
  local job, lock = KEYS[at], KEYS[at + 1]
  local state = (at - 1) / 2 * 3
  local token, progress, waits = ARGV[state + 1], ARGV[state + 2], ARGV[state + 3]
  local result = 'kept'
  if redis.call('EXISTS', job) == 0 then result = 'gone'
  elseif redis.call('GET', lock) ~= token then result = 'lost'
  else
    redis.call('HSET', job, 'progress', progress)
    if waits ~= '' then redis.call('HSET', job, 'waits', waits) end
  end
  answer[#answer + 1] = result
end
return answer
