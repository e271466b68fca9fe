// What has to happen in one step, in the language of Redis 5 and later. Each looks at the lease first: who does not know
// what stands there has nothing to write. `!` is what is of another type or far too large, and nothing at all is ''.

const HELD = `
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'table' then held = '!' elseif not held then held = '' elseif #held > 4096 then held = '!' end
if held ~= ARGV[1] then return {1, held} end
`;

/** lease, record, events; expected, lease, record, keptMs, eventsKeptMs, keepEvents, isWhole, event … */
export const WRITE = `${HELD}
local whole = ARGV[7] == '1'
if whole then
  redis.call('DEL', KEYS[3])
else
  if redis.call('TYPE', KEYS[2]).ok ~= 'string' then return {2} end
  local kind = redis.call('TYPE', KEYS[3]).ok
  if kind ~= 'stream' and kind ~= 'none' then return {2} end
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4]) else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) else redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
if #ARGV > 7 then
  for i = 8, #ARGV do redis.call('XADD', KEYS[3], '*', 'e', ARGV[i]) end
  redis.call('XTRIM', KEYS[3], 'MAXLEN', ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
return {0}
`;

/** lease, record, events; expected, lease, keptMs, recordBytes, maxEvents, eventBytes, largestEvent. The newest event comes first. */
export const TAKE = `${HELD}
local record = redis.pcall('GET', KEYS[2])
if not record then return {2} end
if type(record) == 'table' or #record > tonumber(ARGV[4]) then record = '' end
local events = {}
local bytes = 0
local entries = redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', ARGV[5])
if not entries.err then
  for _, entry in ipairs(entries) do
    local event = entry[2][2]
    bytes = bytes + #event
    if bytes > tonumber(#events == 0 and ARGV[7] or ARGV[6]) then break end
    events[#events + 1] = event
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {0, record, events}
`;

/** lease, record, events; expected. */
export const REMOVE = `${HELD}
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return {0}
`;

/** What stands at a place, if it is short. */
export const READ = `
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'table' then return '!' elseif not held then return '' elseif #held > 4096 then return '!' end
return held
`;

/** place; value, keptMs, mustWrite. A store without room still lets us prolong what is there, but takes nothing new. */
export const RENEW = `
local there = redis.call('EXISTS', KEYS[1])
if there == 0 or ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif redis.pcall('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return there
`;
