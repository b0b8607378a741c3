-- last_log: returns the highest id of a row that was assigned in any log. The sequence is read, because no index finds
-- the highest id quickly.
select case when is_called then last_value else 0 end as last from rework.log_id
