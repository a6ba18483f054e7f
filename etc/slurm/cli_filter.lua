-- SPDX-License-Identifier: Apache-2.0
-- sifgate: to be merged into a site's cli_filter.lua (CliFilterPlugins=cli_filter/lua), in srun, sbatch and salloc. The
-- SPANK plugin warns there already; this is for sites that refuse. A user can evade it: what binds is job_submit.lua.

local found, sifgate = pcall(dofile, "/usr/share/sifgate/slurm/sifgate.lua")
local REFUSE = false -- true: a job whose launch would be refused is refused here already

local function sifgate_submit(options)
  local is_step = options.type == "srun" and os.getenv("SLURM_JOB_ID") ~= nil -- judged on its node, in a moment
  if not found or is_step then
    return slurm.SUCCESS
  end
  local well, answer, text = pcall(sifgate.look, sifgate.of_options(options))
  if not well or answer == "go" then
    return slurm.SUCCESS
  end
  io.stderr:write(text, "\n")
  if answer == "refused" and REFUSE then
    return slurm.ERROR
  end
  io.stderr:write("sifgate: the job is submitted; this was about its launch, later on\n")
  return slurm.SUCCESS
end

function slurm_cli_setup_defaults(options, early)
  return slurm.SUCCESS
end

function slurm_cli_pre_submit(options, offset)
  return sifgate_submit(options)
end

function slurm_cli_post_submit(offset, job, step)
  return slurm.SUCCESS
end
