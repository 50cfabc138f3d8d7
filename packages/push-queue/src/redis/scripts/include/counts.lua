-- The counts of what lies in an app's queues, which its quota is held against. They rise in the transaction that adds
-- push jobs and fall with a job's outcome report. Each job carries in its field `held` the mark of what it was counted
-- as, epoch/class/notifications/bytes: what an earlier version put there, or what lay there when the counts were lost,
-- has another mark or none, takes nothing away, and is counted anew (`recount-page.lua`).
--
-- The hash: `epoch`; `<class>-notifications` and `<class>-bytes`; while a recount runs `next`, its epoch, `next-<class>-…`
-- and `next-until`, when it is given up; `apart`, by how many notifications the counts differed from the sums of the app
-- when they were last counted.

-- 800: what Redis needs for a push job beside its data and options: the rest of its hash, keys, its place in a list.
local function jobBytes(job)
  return redis.call('HSTRLEN', job, 'data') + redis.call('HSTRLEN', job, 'opts') + 800
end

local function raise(counts, prefix, class, notifications, bytes)
  redis.call('HINCRBY', counts, prefix .. class .. '-notifications', notifications)
  redis.call('HINCRBY', counts, prefix .. class .. '-bytes', bytes)
end

-- A push job has ended: takes it out of the counts.
local function release(job, counts)
  local mark = redis.call('HGET', job, 'held') or ''
  local epoch, class, notifications, bytes = string.match(mark, '^(%w+)/(%a+)/(%d+)/(%d+)$')
  if not epoch then return end
  local epochs = redis.call('HMGET', counts, 'epoch', 'next')
  if epoch ~= epochs[1] and epoch ~= epochs[2] then return end
  raise(counts, '', class, -notifications, -bytes)
  if epoch == epochs[2] then raise(counts, 'next-', class, -notifications, -bytes) end
end
