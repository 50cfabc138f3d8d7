#!lua flags=allow-oom
-- Renews locks. A lock that ran out while Redis was away is taken again as long as the job is active: nobody else can
-- have it then. Returns the ids of the jobs that are another's.
--
-- KEYS[1]  stalled       BullMQ's set of the jobs whose lock may have run out
-- KEYS[2]  active
-- ARGV[1]  base          what the key of a job begins with
-- ARGV[2]  durationMs
-- ARGV[+]  jobs          id and token of each
local stalled, active = unpack(KEYS)
local base, durationMs = unpack(ARGV, 1, 2)

local lost = {}
for at = 3, #ARGV, 2 do
  local id, token = ARGV[at], ARGV[at + 1]
  local lock = base .. id .. ':lock'
  local holder = redis.call('GET', lock)
  if holder == token or (not holder and redis.call('LPOS', active, id)) then
    redis.call('SET', lock, token, 'PX', durationMs)
    redis.call('SREM', stalled, id)
  else
    lost[#lost + 1] = id
  end
end
return lost
