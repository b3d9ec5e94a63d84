-- The one script that changes the registry: all of it, or nothing.
-- KEYS lease, backends, instances, generation, serial, scaler, events, orders, proxies, definition, then each proxy's key
-- ARGV 1 `<scaler's id>:<token>`  2 channel of changes  3 cap of events  4 width of an event  5 prefix of a proxy's key
--      6 the generation on which the change stands ('' when everything is sent)  7 how many entries that one had
--      8 how many serve  9 serial  10 the generation that the new one comes after, whatever is stored
--      then four lists, each after its length: the summary, entries to set, names to remove, the definition (none: it
--      stays); then the events
if get(KEYS[1]) ~= ARGV[1] then
  return {'refused'}
end

-- A cluster wants every key named beforehand: a proxy that the caller did not name yet is told to it.
local named, unnamed = {}, false
for at = 11, #KEYS do
  named[KEYS[at]] = true
end
local proxies = redis.pcall('ZRANGE', KEYS[9], 0, -1)
for _, id in ipairs(proxies) do
  unnamed = unnamed or not named[ARGV[5] .. id]
end
if unnamed then
  table.insert(proxies, 1, 'proxies')
  return proxies
end

local stored, everything = get(KEYS[4]), ARGV[6] == ''
if not everything and (stored ~= ARGV[6] or redis.pcall('HLEN', KEYS[2]) ~= tonumber(ARGV[7])) then
  return {'everything'}
end

local generation = math.max(number(stored, STORED), number(ARGV[10], STORED))
for at = 11, #KEYS do
  local applied = redis.pcall('HGET', KEYS[at], 'generation')
  generation = math.max(generation, number(type(applied) == 'string' and applied, REPORTED))
end
generation = plain(following(generation))

local function list(at)
  return at + 1, at + tonumber(ARGV[at])
end
local first, last = list(11)
summarise(KEYS[6], first, last)
if everything then
  redis.call('DEL', KEYS[2])
  make_way('stream', KEYS[8]) -- who publishes told it when it read them
end
-- In pieces, because unpack has room for some thousands only.
local piece = 1000
first, last = list(last + 1)
for at = first, last, piece do
  redis.call('HSET', KEYS[2], unpack(ARGV, at, math.min(at + piece - 1, last)))
end
first, last = list(last + 1)
for at = first, last, piece do
  redis.call('HDEL', KEYS[2], unpack(ARGV, at, math.min(at + piece - 1, last)))
end
first, last = list(last + 1)
if first <= last then
  redis.call('DEL', KEYS[10])
  redis.call('HSET', KEYS[10], unpack(ARGV, first, last))
end
redis.call('SET', KEYS[3], ARGV[8])
redis.call('SET', KEYS[4], generation)
redis.call('SET', KEYS[5], plain(math.max(number(get(KEYS[5]), SERIAL), number(ARGV[9], SERIAL))))
record(KEYS[7], ARGV[3], last + 1, tonumber(ARGV[4]))
redis.call('PUBLISH', ARGV[2], generation)
return {'published', generation, unpack(met)}
