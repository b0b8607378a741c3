-- monitor_up: the monitor that a process of this boot has become
select id
  from rework.monitor
 where pid = cast(:pid as integer)
   and pid_start = cast(:start as bigint)
   and boot_id = :boot
   and finished_at is null
