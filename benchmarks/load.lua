-- What wrk sends: the messages of the file RING (traffic.py), in turn. A single one is written once,
-- by wrk itself; of many, each run begins somewhere else.
local file = assert(io.open(os.getenv("RING"), "rb"))
local ring = {}
for size in file:lines() do
  ring[#ring + 1] = file:read(tonumber(size))
end
file:close()

wrk.format = function() return ring[1] end
if #ring > 1 then
  math.randomseed(os.time())
  local turn = math.random(#ring)
  function request()
    turn = turn % #ring + 1
    return ring[turn]
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    failed))
end
