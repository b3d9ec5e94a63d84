-- KEYS crashes, crash-index, what stands before a document's id
-- ARGV cap of entries, age in ms, cap of documents, a document's id and content or two empty ones, width of an entry,
--      then the entries
local age = tonumber(ARGV[2])
if ARGV[4] ~= '' then
  only('zset', KEYS[2])
  redis.call('SET', KEYS[3] .. ARGV[4], ARGV[5], 'PX', age)
  redis.call('ZADD', KEYS[2], server_ms(), ARGV[4])
  redis.call('PEXPIRE', KEYS[2], age)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', server_ms() - age)
  local surplus = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
  if surplus > 0 then
    for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, surplus - 1)) do
      redis.call('DEL', KEYS[3] .. id)
      redis.call('ZREM', KEYS[2], id)
    end
  end
end
record(KEYS[1], ARGV[1], 7, tonumber(ARGV[6]))
redis.call('XTRIM', KEYS[1], 'MINID', '~', plain(server_ms() - age) .. '-0')
redis.call('PEXPIRE', KEYS[1], age)
