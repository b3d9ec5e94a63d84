-- KEYS lease, scaler  ARGV `<scaler's id>:<token>`, then the summary
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end
summarise(KEYS[2], 2, #ARGV)
return done()
