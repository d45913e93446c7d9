//! The scripts: what has to happen in one step inside the server.
//!
//! Each touches keys of one slot. They work on the *head* of an entry, what stands before the body
//! of a frame (`cachine-codec`, `frame.rs`), so an entry of 10 MB costs no more than a small one.

use crate::script::Script;

/// `head(key)`: the head of an entry that names tags, or `false`. A key that holds something else
/// than a string has none.
macro_rules! with_head {
    ($body:literal) => {
        concat!(
            r"
local function head(key)
  local size = 512
  while true do
    local text = redis.pcall('GETRANGE', key, 0, size - 1)
    if type(text) ~= 'string' or #text < 5 or text:byte(1) ~= 193 or text:byte(2) ~= 1
      or bit.band(text:byte(3), 2) == 0 then return false end
    local at = bit.band(text:byte(3), 1) == 1 and 12 or 4
    local high, low = text:byte(at, at + 1)
    local left = low and high * 256 + low
    at = at + 2
    while left and left > 0 do
      high, low = text:byte(at, at + 1)
      if not low then break end
      at, left = at + 10 + high * 256 + low, left - 1
    end
    if left == 0 and at - 1 <= #text then return text:sub(1, at - 1) end
    if #text < size then return false end
    size = size * 8
  end
end
",
            $body
        )
    };
}

/// `(token, entry)`: deletes. The head if it named tags: whether it was valid is for the caller to
/// see. Otherwise how many keys there were.
pub(super) static DELETE: Script = Script::new(with_head!(
    r"
local found = head(KEYS[2])
redis.call('UNLINK', KEYS[1])
local gone = redis.call('UNLINK', KEYS[2])
return gone == 1 and found or gone"
));

/// `(entry) life`: a new life in milliseconds, or `''` for ever, and the end of a stale window.
/// Whether there was something to change; the head of an entry that names tags, which stays as it is.
pub(super) static LIVE: Script = Script::new(with_head!(
    r"
local key, life = KEYS[1], ARGV[1]
local found = head(key)
if found then return found end
local start = redis.pcall('GETRANGE', key, 0, 10)
if type(start) == 'string' and #start == 11 and start:byte(1) == 193 and start:byte(2) == 1
  and bit.band(start:byte(3), 3) == 1 then
  if life == '' and redis.call('PTTL', key) == -1 then return 0 end
  local value, flags = redis.call('GETRANGE', key, 11, -1), start:byte(3) - 1
  if flags > 0 then value = '\193\1' .. string.char(flags) .. value end
  if life == '' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PX', life) end
  return 1
end
if life == '' then return redis.call('PERSIST', key) end
return redis.call('PEXPIRE', key, life)"
));

/// `(entry) old new life most`: puts another head in the place of the old one, if it is still there
/// and the entry has at most so many milliseconds left (`''`: no matter). `life` is `keep`, `''` for
/// ever, or milliseconds. 0: changed meanwhile; 1: done; 2: done, and there was no end before.
pub(super) static AMEND: Script = Script::new(
    r"
local key, old, new, life, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local before = redis.call('PTTL', key)
if before == -2 or (most ~= '' and (before == -1 or before > tonumber(most))) then return 0 end
if old == '' then
  if redis.call('GETRANGE', key, 0, 0) == '\193' then return 0 end
elseif redis.call('GETRANGE', key, 0, #old - 1) ~= old then return 0 end
if old == new then
  if life == '' then redis.call('PERSIST', key)
  elseif life ~= 'keep' then redis.call('PEXPIRE', key, life) end
else
  local value = new .. redis.call('GETRANGE', key, #old, -1)
  if life == '' then redis.call('SET', key, value)
  elseif life == 'keep' then redis.call('SET', key, value, 'KEEPTTL')
  else redis.call('SET', key, value, 'PX', life) end
end
return before == -1 and 2 or 1",
);

/// `(token, entry) delta more new life`: adds to a plain decimal; the sum as it is stored, since a
/// number of Lua has only 53 bits. `more` is a second addition, for 2^63, which one can't say; it
/// is undone with the first if it overflows. `new` is what a counter begins with, `''` if it can't;
/// its `life` is `''`, milliseconds, or 0. A list of the stored bytes if there is a frame.
pub(super) static COUNT: Script = Script::new(
    r"
local token, key = KEYS[1], KEYS[2]
local delta, more, new, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local first = redis.call('GETRANGE', key, 0, 0)
if first == '\193' then return {redis.call('GET', key)} end
if first == '' and redis.call('EXISTS', key) == 0 then
  if new == '' then return redis.error_reply('ERR increment or decrement would overflow') end
  redis.call('UNLINK', token)
  if life == '' then redis.call('SET', key, new)
  elseif life ~= '0' then redis.call('SET', key, new, 'PX', life) end
  return new
end
local sum = redis.pcall('INCRBY', key, delta)
if type(sum) == 'table' then return sum end
if more ~= '' then
  sum = redis.pcall('INCRBY', key, more)
  if type(sum) == 'table' then
    redis.call('INCRBY', key, '-' .. delta)
    return sum
  end
end
redis.call('UNLINK', token)
return redis.call('GET', key)",
);

/// `(token, entry) old new life`: stores if the entry is still what it was. `life` is `keep`, `''`,
/// milliseconds, or 0 to delete. Whether it was.
pub(super) static REPLACE: Script = Script::new(
    r"
local key, new, life = KEYS[2], ARGV[2], ARGV[3]
if redis.call('GET', key) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
if life == 'keep' then redis.call('SET', key, new, 'KEEPTTL')
elseif life == '' then redis.call('SET', key, new)
elseif life == '0' then redis.call('UNLINK', key)
else redis.call('SET', key, new, 'PX', life) end
return 1",
);

/// `(token, entry) token value life`: stores if the token stands, and takes it away. Whether it did.
/// The token goes last: a server that has no memory left refuses the first write of a script.
pub(super) static STORE: Script = Script::new(
    r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[2], ARGV[2])
else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('UNLINK', KEYS[1])
return 1",
);

/// `(token) token`: takes the token away if it is this one; with `new life`, puts that in its place for
/// so many milliseconds, unless the server has no memory left. Whether it was.
pub(super) static RELEASE: Script = Script::new(
    r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if not ARGV[2] then return redis.call('UNLINK', KEYS[1]) end
local set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if set.err then return redis.call('UNLINK', KEYS[1]) end
return 1",
);

/// `(token) token lease`: lets the token live on if it is this one. Whether it was.
pub(super) static RENEW: Script = Script::new(
    r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
);

/// `(lock, fence) holder ttl kept`: takes the lock if nobody has it; else how many milliseconds it will be
/// held, as a number; one without an end is given one. Whoever gets it is told
/// the fencing token, as text: the server's time in microseconds, or one more than the last. That is
/// remembered for `kept` milliseconds, so it grows even if the clock is set back. What is no token of ours
/// there counts for nothing.
pub(super) static LOCK: Script = Script::new(
    r"
local lock, fence = KEYS[1], KEYS[2]
if redis.call('EXISTS', lock) == 1 then
  if redis.call('PTTL', lock) == -1 then redis.call('PEXPIRE', lock, ARGV[2]) end
  return redis.call('PTTL', lock)
end
local time, last = redis.call('TIME'), tonumber(redis.call('GET', fence) or '0')
if not last or last ~= last or last < 0 or last >= 2^53 - 1 then last = 0 end
local token = math.max(time[1] * 1000000 + time[2], last + 1)
local text = string.format('%.0f', token)
redis.call('SET', lock, ARGV[1], 'PX', ARGV[2])
redis.call('SET', fence, text, 'PX', ARGV[3])
return text",
);

/// `(index, stamp) member life margin only`: files an entry of a life in milliseconds, or `''` for
/// ever, and lets index and stamp live as long. The member begins with the stamp that the entry has;
/// whether the tag still has it. With `only` nothing is filed if not. Each call throws out up to 16
/// members of entries that have expired, so an index never outgrows what is alive for long.
pub(super) static INDEX: Script = Script::new(
    r"
local index, stamp, member = KEYS[1], KEYS[2], ARGV[1]
local same = redis.call('GET', stamp) == member:sub(1, 8)
if ARGV[4] ~= '' and not same then return 0 end
local life, time = tonumber(ARGV[2]), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local text = function(number) return string.format('%.0f', number) end
local dead = redis.call('ZRANGE', index, '-inf', '(' .. text(now), 'BYSCORE', 'LIMIT', 0, 16)
if #dead > 0 then redis.call('ZREM', index, unpack(dead)) end
local is_new = redis.call('EXISTS', index) == 0
if not life then
  redis.call('ZADD', index, 'GT', '+inf', member)
  redis.call('PERSIST', index)
  if same then redis.call('PERSIST', stamp) end
else
  life = life + ARGV[3]
  redis.call('ZADD', index, 'GT', text(now + life), member)
  if is_new then redis.call('PEXPIRE', index, text(life))
  else redis.call('PEXPIRE', index, text(life), 'GT') end
  if same then redis.call('PEXPIRE', stamp, text(life), 'GT') end
end
return same and 1 or 0",
);

/// `(entry) tag-and-stamp`: deletes the entry if it has this tag with this stamp; its head if so.
pub(super) static FREE: Script = Script::new(with_head!(
    r"
local found = head(KEYS[1])
if not found then return false end
local at = bit.band(found:byte(3), 1) == 1 and 14 or 6
while at <= #found do
  local high, low = found:byte(at, at + 1)
  local after = at + 10 + high * 256 + low
  if found:sub(at + 2, after - 1) == ARGV[1] then
    redis.call('UNLINK', KEYS[1])
    return found
  end
  at = after
end
return false"
));
