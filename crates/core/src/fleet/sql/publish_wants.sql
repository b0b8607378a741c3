-- publish_wants: monitor $1 has an idle worker in each of the domains $2: tell it what is scheduled there
update rework.monitor set wants = $2 where id = $1 and wants <> $2
returning id
