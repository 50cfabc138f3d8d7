#!lua flags=allow-oom
-- Removes the letters that are too old, and then the oldest until the others fit. Returns how many went for their age and
-- for room, and their notifications.
--
-- KEYS[1]  index
-- KEYS[2]  sums
-- ARGV[1]  base          what the key of a letter begins with
-- ARGV[2]  maxBytes      of all letters
-- ARGV[3]  oldestMs      those from before go, epoch milliseconds
-- ARGV[4]  maxTrimmed    letters that go at once, at most
local index, sums = unpack(KEYS)
local base, maxBytes, oldestMs, maxTrimmed = unpack(ARGV)
-- @include letters

local limits = { bytes = tonumber(maxBytes), oldestMs = tonumber(oldestMs), letters = tonumber(maxTrimmed) }
return trim(index, sums, base, limits, 0)
