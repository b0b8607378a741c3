-- grant_rights: role $1 gets the rights $2
select rework.grant_rights($1, $2)::text
