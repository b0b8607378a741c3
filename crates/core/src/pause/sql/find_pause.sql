-- find_pause: returns pause $1 as JSON. No row if it was ended.
select pause.id, row_to_json(pause)::text as pause from rework.pause where pause.id = $1
