-- schedule_task: schedules one task, by the function that clients of all languages call, and returns its id. Raises
-- RW404 if the operation is not registered or a task of `:after` does not exist, RW300 if `:domain` is null and several
-- domains have the operation, RW413 if a value is too large, and RW400 if a value makes no sense.
--
-- `:operation` and `:domain` name the operation; `:input` is the input as JSON, `:input_bytes` as bytes. The task
-- becomes ready at the moment `:at`, or `:after_ms` milliseconds from now by the clock of the server, or at once if
-- both are null. Only the host `:host` (null: any) may run it, and the host must offer the `:capabilities`, a JSON
-- array. A higher `:priority` runs first (null: as the operation declares). If a task of the operation with
-- `:unique_key` exists, its id is returned. `:metadata` is stored with the task. `:retry` is its retry policy as JSON
-- (null: that of the operation). The tasks `:after`, a JSON array of ids, must end before. If one of them is not done,
-- `:after_failure` says what happens: `abort` or `run`.
select rework.schedule(
           operation => cast(:operation as text), input => cast(:input as text),
           domain => cast(:domain as text), host => cast(:host as text),
           priority => cast(:priority as integer),
           delayed_until => coalesce(cast(:at as timestamptz),
                                     clock_timestamp() + cast(:after_ms as bigint) * interval '1 millisecond'),
           unique_key => cast(:unique_key as text), metadata => cast(:metadata as json),
           capabilities => array(select json_array_elements_text(cast(:capabilities as json))),
           input_bytes => cast(:input_bytes as bytea), retry => cast(:retry as json),
           after => array(select cast(json_array_elements_text(cast(:after as json)) as bigint)),
           after_failure => cast(:after_failure as text))
