-- schedule_task: schedules one task, by the function that clients of all languages call. Returns its id, and whether it
-- was created; if not, another task has the unique key. Raises RW404 if the operation is not registered or a task of
-- `:after` does not exist, RW300 if `:domain` is null and several domains have the operation, RW413 if a value is too
-- large, and RW400 if a value makes no sense.
--
-- `:operation` and `:domain` name the operation; `:input` is the input as JSON, `:input_bytes` as bytes. The task
-- becomes ready at the moment `:at`, or `:after_ms` milliseconds from now by the clock of the server, or at once if
-- both are null. Only the host `:host` (null: any) may run it, and the host must offer the `:capabilities`, a JSON
-- array. A higher `:priority` runs first (null: as the operation declares). `:metadata` is stored with the task.
-- `:retry` is its retry policy as JSON (null: that of the operation). The tasks `:after`, a JSON array of ids, must end
-- before. If one of them is not done, `:after_failure` says what happens: `abort` or `run`.
--
-- If a task of the operation has the `:unique_key`, no other one is created. A task keeps its key while it has the
-- state `:unique_while`, and for `:unique_for_ms` milliseconds at most. `:on_conflict` says what happens to a task that
-- has the key; `:debounce_ms` and `:at_most_ms` say how long it waits for the last request.
select task, created
  from rework.schedule_once(
           operation => cast(:operation as text), input => cast(:input as text),
           domain => cast(:domain as text), host => cast(:host as text),
           priority => cast(:priority as integer),
           delayed_until => coalesce(cast(:at as timestamptz),
                                     clock_timestamp() + cast(:after_ms as bigint) * interval '1 millisecond'),
           unique_key => cast(:unique_key as text), metadata => cast(:metadata as json),
           capabilities => array(select json_array_elements_text(cast(:capabilities as json))),
           input_bytes => cast(:input_bytes as bytea), retry => cast(:retry as json),
           after => array(select cast(json_array_elements_text(cast(:after as json)) as bigint)),
           after_failure => cast(:after_failure as text),
           unique_while => cast(:unique_while as text),
           unique_for => cast(:unique_for_ms as bigint) * interval '1 millisecond',
           on_conflict => cast(:on_conflict as text),
           debounce => cast(:debounce_ms as bigint) * interval '1 millisecond',
           at_most => cast(:at_most_ms as bigint) * interval '1 millisecond')
