import { wayOut } from './way-out.ts';

// All that changes the dead letters of an app: each script keeps the letters, their index and their sums in step, so
// that the bytes counted are those that lie there.

/** Sums that a page reads at most: a gateway may give reasons of its own. Of more, some reasons are told. */
const mostSums = 1_000;

/** Letters that one script trims at most. */
export const trimStep = 100;

const functions = `
local function count_reasons(sums, meta, sign)
  local is_read, description = pcall(cjson.decode, meta)
  if not is_read then return end
  for reason, count in pairs(description.reasons or {}) do
    local field = 'reason:' .. reason
    if redis.call('HINCRBY', sums, field, sign * count) <= 0 then redis.call('HDEL', sums, field) end
  end
end

local function remove(index, sums, base, id)
  if redis.call('ZREM', index, id) == 0 then return nil end
  local fields = redis.call('HMGET', base .. id, 'bytes', 'count', 'meta')
  redis.call('DEL', base .. id)
  redis.call('HINCRBY', sums, 'bytes', -(tonumber(fields[1]) or 0))
  count_reasons(sums, fields[3] or '', -1)
  return tonumber(fields[2]) or 0
end

local function put(index, sums, base, letter)
  local bytes = #letter.id + #letter.data + #letter.meta
  redis.call('HSET', base .. letter.id, 'name', letter.name, 'data', letter.data, 'meta', letter.meta,
    'bytes', bytes, 'count', letter.count, 'timestamp', letter.at, 'finishedOn', letter.at, 'opts', '{}')
  redis.call('ZADD', index, letter.at, letter.id)
  redis.call('HINCRBY', sums, 'bytes', bytes)
  count_reasons(sums, letter.meta, 1)
end

local function trim(index, sums, base, max_bytes, oldest_ms, needed)
  local trimmed = { age = 0, bytes = 0 }
  local notifications = 0
  for _ = 1, ${trimStep} do
    local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if not first[1] then break end
    local bound
    if tonumber(first[2]) < oldest_ms then bound = 'age'
    elseif tonumber(redis.call('HGET', sums, 'bytes') or 0) + needed > max_bytes then bound = 'bytes'
    else break end
    local count = remove(index, sums, base, first[1])
    notifications = notifications + count
    trimmed[bound] = trimmed[bound] + 1
    redis.call('HINCRBY', sums, 'trimmed-' .. bound, 1)
    redis.call('HINCRBY', sums, 'trimmed-notifications', count)
  end
  return { trimmed.age, trimmed.bytes, notifications }
end
`;

/**
 * Adds a letter that is not there yet, after those have gone that are too old or in its way. Gives the letters that
 * went for their age and for room, and their notifications. KEYS: index, sums. ARGV: base, most bytes, oldest time,
 * then id, name, data, description, notifications and time of the letter.
 */
export const keepLetterScript = `${wayOut}${functions}
local letter =
  { id = ARGV[4], name = ARGV[5], data = ARGV[6], meta = ARGV[7], count = ARGV[8], at = ARGV[9] }
if redis.call('ZSCORE', KEYS[1], letter.id) then return { 0, 0, 0 } end
local needed = #letter.id + #letter.data + #letter.meta
local trimmed = trim(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), needed)
put(KEYS[1], KEYS[2], ARGV[1], letter)
return trimmed`;

/** Trims alone. KEYS: index, sums. ARGV: base, most bytes, oldest time. Gives what `keepLetterScript` gives. */
export const trimLettersScript = `${wayOut}${functions}
return trim(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 0)`;

/**
 * Takes a letter away. KEYS: index, sums, and the record of its replay. ARGV: base, id, and the milliseconds that the
 * record is remembered for from now on. Gives whether it was there.
 */
export const removeLetterScript = `${wayOut}${functions}
local count = remove(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[3]) > tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end
return count and 1 or 0`;

/**
 * Begins the replay of a letter or of a part of it, which becomes a letter of its own. Once begun, a letter is replayed
 * as it is. KEYS: index, sums. ARGV: base, id, the description that was read; for a part also name and time, id, data,
 * description and notifications of the part, then data, description and notifications of the rest. Gives `gone`,
 * `changed` since it was read, `whole` or `part`.
 */
export const beginReplayScript = `${functions}
local index, sums, base, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
if not redis.call('ZSCORE', index, id) then return 'gone' end
if redis.call('HGET', base .. id, 'meta') ~= ARGV[3] then return 'changed' end
if redis.call('HEXISTS', base .. id, 'replaying') == 1 then return 'whole' end
if #ARGV == 3 then
  redis.call('HSET', base .. id, 'replaying', 1)
  return 'whole'
end
local name, at = ARGV[4], ARGV[5]
remove(index, sums, base, id)
put(index, sums, base, { id = ARGV[6], name = name, data = ARGV[7], meta = ARGV[8], count = ARGV[9], at = at })
redis.call('HSET', base .. ARGV[6], 'replaying', 1)
put(index, sums, base, { id = id, name = name, data = ARGV[10], meta = ARGV[11], count = ARGV[12], at = at })
return 'part'`;

/**
 * Takes a part of a letter away. KEYS: index, sums. ARGV: base, id, the description that was read, name and time, then
 * data, description and notifications of the rest. Gives `gone`, `changed` or `part`.
 */
export const removePartScript = `${wayOut}${functions}
local index, sums, base, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
if not redis.call('ZSCORE', index, id) then return 'gone' end
if redis.call('HGET', base .. id, 'meta') ~= ARGV[3] then return 'changed' end
local replaying = redis.call('HEXISTS', base .. id, 'replaying') == 1
remove(index, sums, base, id)
put(index, sums, base, { id = id, name = ARGV[4], data = ARGV[6], meta = ARGV[7], count = ARGV[8], at = ARGV[5] })
if replaying then redis.call('HSET', base .. id, 'replaying', 1) end
return 'part'`;

/**
 * Reads descriptions of letters, the newest first, and never their data. KEYS: index, sums. ARGV: base, how many, then
 * the time and the id to go on after, or the time to begin at and nothing. Gives the number of letters, the sums, and
 * id, description and bytes of each letter.
 */
export const pageScript = `
local index = KEYS[1]
local start = 0
if ARGV[3] then
  local rank = redis.call('ZREVRANK', index, ARGV[4] or '')
  start = rank and rank + 1 or redis.call('ZCOUNT', index, '(' .. ARGV[3], '+inf')
end
local sums
if redis.call('HLEN', KEYS[2]) <= ${mostSums} then sums = redis.call('HGETALL', KEYS[2])
else
  sums = redis.call('HSCAN', KEYS[2], 0, 'MATCH', 'reason:*', 'COUNT', ${mostSums})[2]
  for _, name in ipairs({ 'bytes', 'trimmed-age', 'trimmed-bytes', 'trimmed-notifications' }) do
    sums[#sums + 1] = name
    sums[#sums + 1] = redis.call('HGET', KEYS[2], name) or '0'
  end
end
local page = { redis.call('ZCARD', index), sums }
for _, id in ipairs(redis.call('ZREVRANGE', index, start, start + tonumber(ARGV[2]) - 1)) do
  local fields = redis.call('HMGET', ARGV[1] .. id, 'meta', 'bytes')
  page[#page + 1] = { id, fields[1] or '', fields[2] or '0' }
end
return page`;
