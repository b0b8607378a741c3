-- count_tasks: how many tasks with an id below $5 list_tasks would show by the same $1 to $4; counts to $6 at most
select count(*)
  from (select
          from rework.task
          join rework.operation on operation.id = task.operation
         where ($1::text is null or operation.domain = $1)
           and ($2::text[] is null or task.state = any ($2))
           and ($3::text is null or operation.name = $3)
           and ($4::bigint is null or task.queued_at >= now() - $4 * interval '1 millisecond')
           and task.id < $5
         limit $6) as others
