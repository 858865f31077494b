#include "board/script.h"

/* A key that holds something of another type, by somebody's hand, is as good as none. */
const char board_script_hold[] =
	"local who = redis.pcall('GET', KEYS[2])\n"
	"if type(who) == 'string' and who ~= ARGV[1] then return {0} end\n"
	"redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
	"local view = redis.pcall('HMGET', KEYS[1], 'position', 'made', 'moved')\n"
	"if view.err then redis.call('UNLINK', KEYS[1]) view = {} end\n"
	"return {1, view[1] or '', view[2] or '', view[3] or ''}\n";

const char board_script_leave[] =
	"if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('UNLINK', KEYS[2]) end\n"
	"return 1\n";

/* Lists and sorted sets of a queue. */
#define PLACES \
	"local lists = {wait = true, active = true, paused = true}\n" \
	"local places = {'active', 'wait', 'paused', 'delayed', 'prioritized', 'waiting-children', 'completed', 'failed'}\n"

const char board_script_clear[] =
	PLACES
	"if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end\n"
	"redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
	"redis.call('UNLINK', KEYS[1])\n"
	"redis.call('HSET', KEYS[1], 'position', '')\n"
	"local more = 1\n"
	"for _, q in ipairs(cjson.decode(ARGV[3])) do\n"
	"  local base = ARGV[4] .. ':' .. q .. ':'\n"
	"  redis.call('UNLINK', base .. 'meta')\n"
	"  for _, at in ipairs(places) do\n"
	"    local ids = redis.pcall(lists[at] and 'LRANGE' or 'ZRANGE', base .. at, 0, ARGV[5] - 1)\n"
	"    if ids.err then ids = {} end\n"
	"    for _, id in ipairs(ids) do redis.call('UNLINK', base .. id, base .. id .. ':logs') end\n"
	"    if #ids < tonumber(ARGV[5]) then\n"
	"      redis.call('UNLINK', base .. at)\n"
	"    else\n"
	"      more = 2\n"
	"      if lists[at] then redis.call('LTRIM', base .. at, #ids, -1)\n"
	"      else redis.call('ZREMRANGEBYRANK', base .. at, 0, #ids - 1) end\n"
	"    end\n"
	"  end\n"
	"end\n"
	"return more\n";

/* A job is taken from where it was put; only when it is not there (bull-board has moved it) it is looked for everywhere. It
 * leaves `wait` at the end where the oldest are. */
const char board_script_put[] =
	PLACES
	"local prefix, now, keep = ARGV[4], tonumber(ARGV[7]), tonumber(ARGV[8])\n"
	"local queues = cjson.decode(ARGV[3])\n"
	"if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'position') ~= ARGV[5] then return 0 end\n"
	"redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
	"local function drop(base, at, id)\n"
	"  if lists[at] then return redis.call('LREM', base .. at, -1, id) end\n"
	"  return redis.call('ZREM', base .. at, id)\n"
	"end\n"
	"local function take(base, at, id)\n"
	"  if drop(base, at, id) == 0 then for _, p in ipairs(places) do drop(base, p, id) end end\n"
	"end\n"
	"local function put(base, e)\n"
	"  local key = base .. e.id\n"
	"  local was = redis.call('HGET', key, 'skep')\n"
	"  local there = was == e.at and redis.call(lists[e.at] and 'LPOS' or 'ZSCORE', base .. e.at, e.id)\n"
	"  if was and not there then take(base, was, e.id) end\n"
	"  redis.call('UNLINK', key)\n"
	"  redis.call('HSET', key, 'skep', e.at, unpack(e.f))\n"
	"  if not lists[e.at] then redis.call('ZADD', base .. e.at, e.score, e.id)\n"
	"  elseif not there then redis.call(ARGV[9] == 'tail' and 'RPUSH' or 'LPUSH', base .. e.at, e.id) end\n"
	"end\n"
	"local function gone(id)\n"
	"  for _, q in ipairs(queues) do\n"
	"    local base = prefix .. ':' .. q .. ':'\n"
	"    local was = redis.call('HGET', base .. id, 'skep')\n"
	"    if was then take(base, was, id) redis.call('UNLINK', base .. id, base .. id .. ':logs') end\n"
	"  end\n"
	"end\n"
	"for _, e in ipairs(cjson.decode(ARGV[10])) do\n"
	"  if e.q then put(prefix .. ':' .. e.q .. ':', e) else gone(e.id) end\n"
	"end\n"
	/* What is due waits; what is old leaves. */
	"local paused = {}\n"
	"for _, q in ipairs(cjson.decode(ARGV[11])) do paused[q] = true end\n"
	"for _, q in ipairs(queues) do\n"
	"  local base = prefix .. ':' .. q .. ':'\n"
	"  for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'delayed', '-inf', string.format('%.0f', now * 4096 + 4095), 'LIMIT', 0, 200)) do\n"
	"    redis.call('ZREM', base .. 'delayed', id)\n"
	"    if redis.call('EXISTS', base .. id) == 1 then\n"
	"      redis.call('HSET', base .. id, 'skep', 'wait', 'delay', '0')\n"
	"      redis.call('LPUSH', base .. 'wait', id)\n"
	"    end\n"
	"  end\n"
	"  for _, at in ipairs({'completed', 'failed'}) do\n"
	"    local over = math.min(redis.call('ZCARD', base .. at) - keep, 1000)\n"
	"    local old = over > 0 and redis.call('ZPOPMIN', base .. at, over) or {}\n"
	"    for i = 1, #old, 2 do redis.call('UNLINK', base .. old[i], base .. old[i] .. ':logs') end\n"
	"  end\n"
	"  redis.call('HSET', base .. 'meta', 'opts.maxLenEvents', '10000')\n"
	"  if paused[q] then redis.call('HSET', base .. 'meta', 'paused', '1') else redis.call('HDEL', base .. 'meta', 'paused') end\n"
	"end\n"
	"if ARGV[5] == '' and ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'made', ARGV[7]) end\n"
	"redis.call('HSET', KEYS[1], 'position', ARGV[6], 'moved', ARGV[7])\n"
	"return 1\n";
