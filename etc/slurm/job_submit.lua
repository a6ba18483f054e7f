-- SPDX-License-Identifier: Apache-2.0
-- sifgate: to be merged into a site's job_submit.lua (JobSubmitPlugins=lua), in the controller, which no client evades.
-- A table that cannot be had is no reason to stop a job: without the file everything is submitted as ever.

local found, sifgate = pcall(dofile, "/usr/share/sifgate/slurm/sifgate.lua")
local REFUSE = false -- true: a job whose launch would be refused is refused here already

local function sifgate_submit(job)
  if not found then
    return slurm.SUCCESS
  end
  local well, answer, text = pcall(sifgate.look, sifgate.of_description(job))
  if not well or answer == "go" then
    return slurm.SUCCESS
  end
  slurm.log_user("%s", text)
  if answer == "refused" and REFUSE then
    return slurm.ESLURM_ACCESS_DENIED or slurm.ERROR
  end
  slurm.log_user("%s", "sifgate: the job is accepted; this was about its launch, later on")
  return slurm.SUCCESS
end

function slurm_job_submit(job, partitions, uid)
  return sifgate_submit(job)
end

function slurm_job_modify(job, record, partitions, uid)
  return slurm.SUCCESS
end

return slurm.SUCCESS
