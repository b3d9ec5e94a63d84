-- KEYS the proxy's key, proxies, lasting
-- ARGV the proxy's id, ttl in ms, whether it outlives its agent (1 or 0), then field and value by turns
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
seen(KEYS[2], ARGV[1])
only('set', KEYS[3])
redis.call(ARGV[3] == '1' and 'SADD' or 'SREM', KEYS[3], ARGV[1])
