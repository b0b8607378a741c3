-- monitor_of_process: returns the monitor that the process with pid `:pid` registered. The pid alone does not identify
-- a process, because pids are reused. The start time of the process `:start`, in clock ticks since the boot, and the id
-- of the boot `:boot` complete it. No row if that monitor has ended or does not exist.
select id
  from rework.monitor
 where pid = cast(:pid as integer)
   and pid_start = cast(:start as bigint)
   and boot_id = :boot
   and finished_at is null
