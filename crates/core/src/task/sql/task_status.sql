-- task_status: returns the states of tasks $1, and the reasons, in the order of their ids.
select task.id, task.state, task.reason from rework.task where task.id = any ($1) order by task.id
