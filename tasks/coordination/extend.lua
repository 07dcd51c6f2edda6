-- Makes KEYS[1] exist for at least ARGV[1] milliseconds from now; never shortens what is there.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
end
