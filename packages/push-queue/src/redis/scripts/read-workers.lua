-- Returns what each worker that is alive says.
--
-- KEYS[1]  workers   those that are alive
-- ARGV[1]  base      what the key of a worker begins with; in the same slot
local workers = unpack(KEYS)
local base = unpack(ARGV)

local found = {}
for _, id in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
  local worker = redis.call('GET', base .. id)
  if worker then found[#found + 1] = worker end
end
return found
