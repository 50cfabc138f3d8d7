#!lua flags=allow-oom
-- Creates the group of the readers at the first entry of a stream; another reader may have been first.
--
-- KEYS[1]  outcomes    stream of the app
-- ARGV[1]  group
local outcomes = unpack(KEYS)
local group = unpack(ARGV)

local result = redis.pcall('XGROUP', 'CREATE', outcomes, group, '0', 'MKSTREAM')
if type(result) == 'table' and result.err and not string.find(result.err, 'BUSYGROUP') then return result end
return 'OK'
