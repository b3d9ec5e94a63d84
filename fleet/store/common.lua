-- Stands before every other script. Whatever a key may hold, reading it here never fails.

-- A generation and a token are times in ms, or a little more. What is far above was written by a stranger, and to
-- count on from it would use up the 15 digits that a double holds exactly; it is as good as none. The limit of what a
-- proxy reports is lower, so that "one more than reported" is always below the other.
local STORED, REPORTED, SERIAL = 2e14, 1e14, 1e12

local function number(text, limit)
  if text and #text <= 15 and string.match(text, '^%d+$') and tonumber(text) < limit then
    return tonumber(text)
  end
  return 0
end

local function plain(whole)
  return string.format('%.0f', whole)
end

local function get(key)
  local reply = redis.pcall('GET', key)
  return type(reply) == 'string' and reply or nil
end

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- What names this run of the server; '' where it does not say so.
local function run_id()
  local information = redis.pcall('INFO', 'server')
  return type(information) == 'string' and string.match(information, 'run_id:(%w+)') or ''
end

-- Neither a wipe nor an old copy of the data makes a number go back, because the server's time is the floor.
local function following(previous)
  return math.max(previous + 1, server_ms())
end

-- What strangers had written where this script writes; the caller tells it.
local met = {}

local function foreign(key, what)
  met[#met + 1] = key .. ': ' .. what
end

-- Success, and what was met.
local function done()
  return {1, unpack(met)}
end

-- A key of another type cannot be written to; it is garbage, and goes. Returns its type where it was one.
local function make_way(kind, key)
  local found = redis.call('TYPE', key)['ok']
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
    return found
  end
end

local function only(kind, key)
  local found = make_way(kind, key)
  if found then
    foreign(key, 'must be a ' .. kind .. ', was a ' .. found .. ', made anew')
  end
end

-- A digest of a hash with all it holds but the digest itself, in an order that does not depend on how it is kept.
local function digest(key)
  local kept, pairs_of, seal = redis.pcall('HGETALL', key), {}, nil
  for at = 1, #kept, 2 do
    if kept[at] == 'seal' then
      seal = kept[at + 1]
    else
      pairs_of[#pairs_of + 1] = #kept[at] .. ':' .. kept[at] .. kept[at + 1]
    end
  end
  table.sort(pairs_of)
  return redis.sha1hex(table.concat(pairs_of, '\n')), seal, #pairs_of
end

local function seen(set, id)
  only('zset', set)
  redis.call('ZADD', set, server_ms() / 1000, id)
end

-- Written anew as a whole, and sealed: what differs from its seal was written by somebody else.
local function summarise(key, first, last)
  only('hash', key)
  local now, seal, fields = digest(key)
  if fields > 0 and seal ~= now then
    foreign(key, 'not as it was published, written again')
  end
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(ARGV, first, last))
  redis.call('HSET', key, 'seal', (digest(key)))
end

-- `width` arguments an entry, from `first` to the last argument.
local function record(stream, cap, first, width)
  only('stream', stream)
  for at = first, #ARGV, width do
    local entry = {'XADD', stream, 'MAXLEN', '~', cap, '*', unpack(ARGV, at, at + width - 1)}
    local reply = redis.pcall(unpack(entry))
    if type(reply) == 'table' and reply.err then -- a foreign entry used up the last possible id
      redis.call('DEL', stream)
      redis.call(unpack(entry))
    end
  end
end
