#!lua flags=allow-oom
-- Stores a token, with the time at which it was issued by the clock of Redis. Also where Redis is full: without a token
-- nothing is sent, which is what makes room in it.
--
-- KEYS[1]  token
-- ARGV[1]  jwt
-- ARGV[2]  ageMs     since it was issued
-- ARGV[3]  lifeMs    for how long
local token = unpack(KEYS)
local jwt, ageMs, lifeMs = unpack(ARGV)

local now = redis.call('TIME')
local bornMs = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ageMs)
redis.call('SET', token, bornMs .. ' ' .. jwt, 'PX', lifeMs)
return 1
