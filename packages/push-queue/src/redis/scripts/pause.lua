#!lua flags=allow-oom
-- Pauses an app for a cause, unless it is paused for it: a hold that has ended may be followed by another. Returns 1 where
-- that changed anything, else 0. Also where Redis is full: an app that is paused adds nothing to it.
--
-- KEYS[1]  pauses    of the app
-- ARGV[1]  cause
-- ARGV[2]  pause     JSON
-- ARGV[3]  nowMs     epoch milliseconds
local pauses = unpack(KEYS)
local cause, pause, nowMs = unpack(ARGV)

local old = redis.call('HGET', pauses, cause)
-- One that cannot be read, such as with half a character, is followed by the new one.
local isRead, stands = pcall(cjson.decode, old or '')
if old and isRead then
  if not stands.untilMs or stands.untilMs > tonumber(nowMs) then return 0 end
  local follows = cjson.decode(pause)
  follows.sinceMs = stands.sinceMs
  pause = cjson.encode(follows)
end
redis.call('HSET', pauses, cause, pause)
return 1
