-- KEYS the proxy's key, proxies, lasting
-- ARGV the proxy's id, ttl in ms, whether it outlives its agent (1 or 0), then field and value by turns
-- Returns what strangers had written there. A user who may not look at it is told nothing, and writes all the same.
only('hash', KEYS[1])
local count = redis.pcall('HLEN', KEYS[1])
local fields = redis.pcall('HGET', KEYS[1], 'fields')
if type(count) == 'number' and count > 0 and type(fields) ~= 'table' and fields ~= tostring(count) then
  foreign(KEYS[1], 'not as the proxy wrote it, written again')
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('HSET', KEYS[1], 'fields', redis.call('HLEN', KEYS[1]) + 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
seen(KEYS[2], ARGV[1])
only('set', KEYS[3])
redis.call(ARGV[3] == '1' and 'SADD' or 'SREM', KEYS[3], ARGV[1])
return met
