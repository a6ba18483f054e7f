-- SPDX-License-Identifier: Apache-2.0
-- Asks the agent of this machine what a job's launch would meet, for a site's job_submit.lua and cli_filter.lua.
--
-- A look-up: sifgate-ask ends by itself at the deadline, whatever agent or file servers do, and this returns "go" where
-- nothing is known. Works with Lua 5.1 to 5.4; the result of a command is read from its output, for 5.1 has no other way.

local sifgate = {
  program = "/usr/libexec/sifgate/sifgate-ask",
  deadline_ms = 50,
  switch = "/etc/sifgate/submit.off", -- `sifgate submit remove` makes this file, and nothing is asked any more
}

local TEXT_LIMIT = 8192 -- bytes of a notice that are shown
local COMMAND_LIMIT = 120000 -- bytes of one argument that execve takes, and a little less
local STATUS = "sifgate%-status=(%d+)%s*$"

-- Quotes for a POSIX shell: between single quotes nothing is special but the single quote itself.
local function quoted(text)
  return "'" .. tostring(text):gsub("%z", ""):gsub("'", "'\\''") .. "'"
end

local function exists(path)
  local file = io.open(path, "r")
  if file then
    file:close()
  end
  return file ~= nil
end

-- slurmctld as root may open what a user named with the user's ids; any other user opens what all may read.
local is_root
local function acts_as_root()
  if is_root == nil then
    local file = io.popen("id -u", "r")
    is_root = file ~= nil and file:read("*l") == "0"
    if file then
      file:close()
    end
  end
  return is_root
end

local function command(job)
  local words = { sifgate.program, "submit", "--deadline", tostring(sifgate.deadline_ms) }
  local function add(...)
    for _, word in ipairs({ ... }) do
      words[#words + 1] = quoted(word)
    end
  end
  if job.cwd then
    add("--cwd", job.cwd)
  end
  if job.uid and acts_as_root() then
    add("--uid", string.format("%d", job.uid), "--gid", string.format("%d", job.gid))
  end
  if job.script then
    add("--script", "-")
  elseif job.script_file then
    add("--script", job.script_file)
  end
  add("--")
  for _, word in ipairs(job.words) do
    add(word)
  end
  local input, ask = "</dev/null", table.concat(words, " ")
  if job.script then
    input, ask = "", "printf %s " .. quoted(job.script) .. " | " .. ask
  end
  return "PATH=/usr/bin:/bin; " .. ask .. " " .. input .. " 2>&1; echo sifgate-status=$?"
end

-- Returns "go", "warned" or "refused", and what to tell the user. `job` has `words` (a list), and may have `script` (its
-- text), `script_file` (its path), `cwd`, and `uid` with `gid`.
function sifgate.look(job)
  if exists(sifgate.switch) or not exists(sifgate.program) then
    return "go", ""
  end
  local line = command(job)
  if #line > COMMAND_LIMIT then
    return "go", "" -- too long to ask about here; it is judged when it starts
  end
  local file = io.popen(line, "r")
  if not file then
    return "go", ""
  end
  local text = file:read(TEXT_LIMIT) or ""
  file:close()
  local status = text:match(STATUS)
  text = text:gsub(STATUS, ""):gsub("%s+$", "")
  if status == "1" then
    return "refused", text
  elseif status == "0" and text ~= "" then
    return "warned", text
  end
  return "go", ""
end

-- Returns the question about a job as slurmctld describes it (job_submit.lua).
function sifgate.of_description(job)
  local words = {}
  for index = 0, (job.argc or 0) - 1 do
    if job.argv and job.argv[index] then
      words[#words + 1] = job.argv[index]
    end
  end
  return { words = words, script = job.script, cwd = job.work_dir, uid = job.user_id, gid = job.group_id }
end

-- Returns the question about a command line as srun, sbatch and salloc describe it (cli_filter.lua).
function sifgate.of_options(options)
  local words = {}
  for _, word in ipairs(options.argv or {}) do
    words[#words + 1] = word
  end
  local question = { words = words }
  if options.type == "sbatch" then
    local wrap = options["wrap"]
    if wrap and wrap ~= "" then
      question.script = "#!/bin/sh\n" .. wrap
    else
      question.script_file = words[1]
    end
  end
  return question
end

return sifgate
