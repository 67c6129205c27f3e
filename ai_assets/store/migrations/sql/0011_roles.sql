-- Whether an event of this type, as sent, becomes an event of each site: who may send events of some sites only may
-- not send it. Blanks and case are judged more widely than biz.fire_ai_event does, never less.
create function biz.ai_reaches_all_sites(p_event_type text) returns boolean language sql immutable as $$
    select coalesce(biz.ai_canonical_event(lower(biz.ai_trim(p_event_type))) = 'ai_dws_prewarm', false)
$$;

-- Intake runs with its owner's rights and a fixed search path, whichever revision replaced it last. `ai-assets db roles`
-- makes a role of few rights its owner: not here, for who migrates may not be allowed to make roles.
alter function biz.fire_ai_event(text, bigint, bigint, jsonb, boolean, text)
    security definer set search_path = pg_catalog, pg_temp;
