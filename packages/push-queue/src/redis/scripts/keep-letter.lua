#!lua flags=allow-oom
-- Adds a letter that is not there yet, after those have gone that are too old or in its way. Returns how many letters went
-- for their age and for room, and their notifications.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- ARGV[1]  base          what the key of a letter begins with
-- ARGV[2]  maxBytes      of all letters
-- ARGV[3]  oldestMs      those from before go, epoch milliseconds
-- ARGV[4]  maxTrimmed    letters that go at once, at most
-- ARGV[5]  id            of the letter
-- ARGV[6]  name          dead or poisoned
-- ARGV[7]  data
-- ARGV[8]  description
-- ARGV[9]  count         notifications in it
-- ARGV[10] atMs          its time, epoch milliseconds
local index, sums = unpack(KEYS)
local base, maxBytes, oldestMs, maxTrimmed, id, name, data, description, count, atMs = unpack(ARGV)
-- @include letters

if redis.call('ZSCORE', index, id) then return { 0, 0, 0 } end
local limits = { bytes = tonumber(maxBytes), oldestMs = tonumber(oldestMs), letters = tonumber(maxTrimmed) }
local trimmed = trim(index, sums, base, limits, #id + #data + #description)
put(index, sums, base, { id = id, name = name, data = data, meta = description, count = count, at = atMs })
return trimmed
