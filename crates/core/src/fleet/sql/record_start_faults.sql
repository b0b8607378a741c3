-- record_start_faults: stores what monitor $1 cannot start now. $2 is an array of {domain, operation, reason, failures,
-- unavailable} as JSON.
update rework.monitor set start_faults = $2::text::json where id = $1
returning id
