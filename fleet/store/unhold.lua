-- KEYS lock  ARGV owner
if get(KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
