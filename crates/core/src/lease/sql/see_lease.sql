-- see_lease: how often lease $1 was renewed, and how long it is; no row: nobody lives by it
select epoch, renewals, length_ms from rework.lease where id = $1 and taken_at is null
