-- Removes outcome reports that are in Postgres, and shortens the life of what stands for their batches. A script and no
-- transaction, which a Redis that is full refuses: this is what makes room in it.
--
-- KEYS[1]  outcomes        stream of the app
-- KEYS[+]  endedBatches    of the entries
-- ARGV[1]  group           of the readers
-- ARGV[2]  batchLifeMs     how long endedBatches are kept from now on, at most
-- ARGV[+]  entries         their ids
local outcomes = unpack(KEYS, 1, 1)
local group, batchLifeMs = unpack(ARGV, 1, 2)

for at = 3, #ARGV do
  redis.call('XACK', outcomes, group, ARGV[at])
  redis.call('XDEL', outcomes, ARGV[at])
end
for at = 2, #KEYS do
  if redis.call('PTTL', KEYS[at]) > tonumber(batchLifeMs) then redis.call('PEXPIRE', KEYS[at], batchLifeMs) end
end
