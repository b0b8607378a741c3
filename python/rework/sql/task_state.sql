-- task_state: where a task is in its life; null: there is none
select rework.state_of(cast(:task as bigint))
