-- resume: ends the pause of exactly domain $1, operation $2 and host $3 (each null: any), and returns whether there was
-- one. Raises RW404 if a name does not exist, and RW300 if the operation is paused in several domains.
select rework.resume($1, $2, $3) as resumed
