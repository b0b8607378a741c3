-- schedule: one task, by the function that every language calls; ready at a moment, or so many milliseconds from now
select rework.schedule(
           operation => cast(:operation as text), input => cast(:input as json),
           domain => cast(:domain as text), host => cast(:host as text),
           priority => cast(:priority as integer),
           delayed_until => coalesce(cast(:at as timestamptz),
                                     clock_timestamp() + cast(:after_ms as bigint) * interval '1 millisecond'),
           unique_key => cast(:unique_key as text), metadata => cast(:metadata as json),
           capabilities => array(select json_array_elements_text(cast(:capabilities as json))),
           input_bytes => cast(:input_bytes as bytea))
