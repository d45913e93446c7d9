-- Takes ARGV[1] milliseconds from the life of every key of a database, as if they had passed.
-- The scores of the index of a tag are times too; one without end stays without end.
local by = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left <= by then
    redis.call('DEL', key)
  else
    -- Beyond this the numbers of Lua are not exact, and nobody lives so long.
    if left > by and left < 2^53 then
      redis.call('PEXPIRE', key, string.format('%.0f', left - by))
    end
    if string.find(key, '~cachine~i:', 1, true) then
      for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        redis.call('ZINCRBY', key, -by, member)
      end
    end
  end
end
