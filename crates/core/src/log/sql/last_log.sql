-- last_log: returns the highest line number that was assigned in any log. The sequence is read, because no index finds
-- the highest number quickly.
select case when is_called then last_value else 0 end as last from rework.log_id
