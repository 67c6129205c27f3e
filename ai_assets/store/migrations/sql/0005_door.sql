-- A backend that may send events need not be able to write the inbox: the door runs with its owner's rights.
-- The search path is fixed, as it must be in such a function: every name of ours is written with its schema.
alter function biz.fire_ai_event(text, bigint, bigint, jsonb, boolean, text)
    security definer set search_path = pg_catalog, pg_temp;
