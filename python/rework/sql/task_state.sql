-- task_state: returns the state of task `:task`; null if the task does not exist. A role that may only schedule can
-- read it, because the function runs with the rights of its owner.
select rework.state_of(cast(:task as bigint))
