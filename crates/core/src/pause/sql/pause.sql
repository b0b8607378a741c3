-- pause: pauses what has domain $1, operation $2 and host $3 (each null: any), and returns the id of the pause. Raises
-- RW404 if a name does not exist, and RW300 if several domains have the operation.
select rework.pause($1, $2, $3) as id
