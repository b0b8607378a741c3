-- grant_rights: grants the set of rights $2 (`schedule`, `read` or `run`) to role $1. Raises RW400 if there is no such
-- set.
select rework.grant_rights($1, $2)::text
