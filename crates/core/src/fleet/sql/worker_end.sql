-- worker_end: when worker $1 ended, and why
select worker.id, worker.finished_at, worker.reason from rework.worker where worker.id = $1
