-- worker_end: returns when worker $1 ended, and why. No row if there is no such worker.
select worker.id, worker.finished_at, worker.reason from rework.worker where worker.id = $1
