-- Removes entries of the audit log that have arrived; what has changed since stays.
--
-- KEYS[1]  outbox
-- ARGV[+]  entries   id and JSON of each
local outbox = unpack(KEYS)

for at = 1, #ARGV, 2 do
  if redis.call('HGET', outbox, ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', outbox, ARGV[at]) end
end
return 1
