-- Grants or refuses one call to a source; all times are whole microseconds of the server's clock.
--
-- KEYS  times of the latest calls (newest first), calls of this month, freeze
-- ARGV  calls per window, window, calls per month (0 for no limit of that kind), seconds that the
--       month's counter is kept
-- Returns 0 when granted, else the microseconds to wait, or -1 when the month is spent.
local rate, window, monthly = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

if monthly > 0 and tonumber(redis.call('GET', KEYS[2]) or 0) >= monthly then return -1 end

local frozen = redis.call('PTTL', KEYS[3])
if frozen > 0 then return frozen * 1000 end

if rate > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if tonumber(redis.call('LINDEX', KEYS[1], 0) or 0) > now then
    -- The clock was set back. How old the calls are is lost: take them for made just now.
    for i = 0, redis.call('LLEN', KEYS[1]) - 1 do redis.call('LSET', KEYS[1], i, now) end
  end
  -- The call before the last (rate - 1) ones must have left the window.
  local oldest = redis.call('LINDEX', KEYS[1], rate - 1)
  if oldest and now - oldest < window then return oldest + window - now end
  redis.call('LPUSH', KEYS[1], now)
  redis.call('LTRIM', KEYS[1], 0, rate - 1)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000) + 1)
end

if monthly > 0 then
  redis.call('INCR', KEYS[2])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return 0
