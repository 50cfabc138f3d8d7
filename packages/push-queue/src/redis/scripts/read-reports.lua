-- Reads outcome reports that no reader has had: none after so many bytes, since a report may have 1,000 exceptions.
-- Returns the entries, and 1 when there may be more, else 0.
--
-- KEYS[1]  outcomes    stream of the app
-- ARGV[1]  group       of the readers
-- ARGV[2]  reader
-- ARGV[3]  limit       entries, at most
-- ARGV[4]  maxBytes
local outcomes = unpack(KEYS)
local group, reader, limit, maxBytes = unpack(ARGV)

local entries, bytes = {}, 0
while #entries < tonumber(limit) do
  if bytes >= tonumber(maxBytes) then return { entries, 1 } end
  local read = redis.call('XREADGROUP', 'GROUP', group, reader, 'COUNT', 1, 'STREAMS', outcomes, '>')
  if not read then return { entries, 0 } end
  local entry = read[1][2][1]
  entries[#entries + 1] = entry
  for _, part in ipairs(entry[2] or {}) do bytes = bytes + #part end
end
return { entries, 1 }
