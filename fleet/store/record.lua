-- KEYS lease, events  ARGV `<scaler's id>:<token>`, cap of events, width of an event, then the events
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end
record(KEYS[2], ARGV[2], 4, tonumber(ARGV[3]))
return done()
