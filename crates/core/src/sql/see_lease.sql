-- see_lease: how often lease $1 was renewed, and whose it is
select epoch, renewals from rework.lease where id = $1
