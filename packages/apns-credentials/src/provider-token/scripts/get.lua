-- Reads a token. Returns it, its age in milliseconds, and the time, epoch milliseconds; false: there is none. Redis' own
-- clock tells how old a token is: the clocks of the fleet need not agree.
--
-- KEYS[1]  token
local token = unpack(KEYS)

local stored = redis.call('GET', token)
if not stored then return false end
local now = redis.call('TIME')
local bornMs, jwt = string.match(stored, '^(%-?%d+) (.*)$')
if not bornMs then return false end
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
return { jwt, nowMs - tonumber(bornMs), nowMs }
