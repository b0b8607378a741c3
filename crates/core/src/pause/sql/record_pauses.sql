-- record_pauses: records that monitor $1 has carried out the pauses $2: nothing of them can start on its host.
update rework.monitor set pauses = $2 where id = $1
returning id
