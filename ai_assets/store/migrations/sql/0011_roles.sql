-- Whether an event of this type, as sent, becomes an event of each site: who may send events of some sites only may
-- not send it. Blanks and case are judged more widely than biz.fire_ai_event does, never less.
create function biz.ai_reaches_all_sites(p_event_type text) returns boolean language sql immutable as $$
    select coalesce(biz.ai_canonical_event(lower(biz.ai_trim(p_event_type))) = 'ai_dws_prewarm', false)
$$;
