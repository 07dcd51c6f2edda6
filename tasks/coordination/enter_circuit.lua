-- KEYS  failures, opened, probe
-- ARGV  failures that open the circuit, milliseconds a probe may take
-- Returns 0 when a call may be made and none before it failed, -1 when one may be made that has
-- failures to make up for, else the milliseconds to wait.
local open_for = redis.call('PTTL', KEYS[2])
if open_for > 0 then return open_for end
local failed = tonumber(redis.call('GET', KEYS[1]) or 0)
if failed == 0 then return 0 end
if failed < tonumber(ARGV[1]) then return -1 end
-- Half open: the first to come tries, the others wait for what it finds.
if redis.call('SET', KEYS[3], 1, 'NX', 'PX', ARGV[2]) then return -1 end
return math.max(redis.call('PTTL', KEYS[3]), 1)
