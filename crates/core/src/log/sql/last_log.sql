-- last_log: the number of the last line of all logs; from the sequence, since no index has it
select case when is_called then last_value else 0 end as last from rework.log_id
