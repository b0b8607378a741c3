-- run_scheduled: a task of schedule $1, now; null: there is no such schedule
select rework.run_scheduled($1) as task
