-- The gateway's counting in nginx: per version the statuses, a latency histogram, predicted labels
-- and a score histogram. Plain tables of the one worker process: the cheapest way there is. The
-- answer is read after it was sent, as the gateway does.
local decode = require("cjson.safe").decode
local counts = { statuses = {}, durations = {}, sums = {}, labels = {}, scores = {}, missing = {} }
local bounds = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5,
                 7.5, 10 }

local function add(counter, version, key, amount)
  local of_version = counter[version]
  if not of_version then
    of_version = {}
    counter[version] = of_version
  end
  of_version[key] = (of_version[key] or 0) + amount
end

local function bucket(value)
  for i = 1, #bounds do
    if value <= bounds[i] then return i end
  end
  return #bounds + 1
end

local M = {}

-- body_filter: keep the pieces of an answer.
function M.keep()
  local chunk = ngx.arg[1]
  if chunk == "" then return end
  local context = ngx.ctx
  local kept = context.kept
  context.kept = kept and kept .. chunk or chunk
end

-- log: count it.
function M.observe()
  local version, seconds = ngx.var.version, tonumber(ngx.var.request_time)
  local status = ngx.status
  add(counts.statuses, version, status, 1)
  add(counts.durations, version, bucket(seconds), 1)
  add(counts.sums, version, "seconds", seconds)
  local kept = ngx.ctx.kept
  if status < 200 or status >= 300 or not kept then return end
  local answer = decode(kept)
  local label = answer and answer.predictions and answer.predictions[1]
  if label == nil then
    add(counts.missing, version, "absent", 1)
    return
  end
  add(counts.labels, version, tostring(label), 1)
  local score = answer.probabilities and answer.probabilities[1]
  if score then add(counts.scores, version, math.ceil(score * 20), 1) end
end

function M.show()
  for name, counter in pairs(counts) do
    for version, of_version in pairs(counter) do
      for key, value in pairs(of_version) do
        ngx.say(name, '{version="', version, '",key="', key, '"} ', value)
      end
    end
  end
end

return M
