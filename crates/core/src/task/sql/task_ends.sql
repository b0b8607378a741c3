-- task_ends: where tasks $1 are, and why
select task.id, task.state, task.reason from rework.task where task.id = any ($1) order by task.id
