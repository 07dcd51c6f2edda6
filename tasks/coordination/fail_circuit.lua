-- KEYS  failures, opened, probe
-- ARGV  failures that open the circuit, milliseconds it stays open, milliseconds failures count
-- Returns the failures in a row. A failed probe opens the circuit again.
local failed = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if failed >= tonumber(ARGV[1]) then redis.call('SET', KEYS[2], 1, 'PX', ARGV[2]) end
redis.call('DEL', KEYS[3])
return failed
