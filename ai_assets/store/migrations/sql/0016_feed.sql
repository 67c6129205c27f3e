-- The feed reports a reused answer too: a page that asked for an answer learns that the cached one is still valid.

-- Ids rise in the order of the commits: the lock is held until the transaction ends, so a reader who sees an id has
-- seen every lower one. An error here never fails the transaction that the row reports.
create function biz.ai_add_news(p_channel text, p_site_id bigint, p_content jsonb) returns void
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('ai_assets.news', 0));
    insert into biz.ai_news (id, channel, site_id, content)
        values (nextval('biz.ai_news_id'), p_channel, p_site_id, p_content);
exception when others then
    raise warning 'no feed row on % for id %: %', p_channel,
        coalesce(p_content ->> 'alert_id', p_content ->> 'cache_id'), sqlerrm;
end $$;

create or replace function biz.ai_keep_news() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'ai_alerts' then
        perform biz.ai_add_news('ai_alert', new.site_id, jsonb_build_object('alert_id', new.id,
            'site_id', new.site_id, 'app_type', new.app_type, 'alert_type', new.alert_type,
            'message', new.message, 'log_id', new.log_id, 'created_at', new.created_at));
    else
        perform biz.ai_add_news('ai_cache_updated', new.site_id, jsonb_build_object('cache_id', new.id,
            'site_id', new.site_id, 'cache_type', new.cache_type, 'target_id', new.target_id,
            'triggered_by', new.triggered_by, 'created_at', new.created_at));
    end if;
    return null;
end $$;

-- Report that a cached answer was reused: the notification and the feed row of a new answer, with "reused": true.
-- p_triggered_by is what asked for it now; created_at is the time of the answer. The caller commits at once, because
-- the feed's lock is held until then.
create function biz.ai_tell_reused(p_cache_id bigint, p_triggered_by text) returns void language plpgsql as $$
declare
    v_told jsonb;
    v_more jsonb;
begin
    select jsonb_build_object('site_id', c.site_id, 'cache_type', c.cache_type, 'target_id', c.target_id,
            'triggered_by', p_triggered_by, 'reused', true),
        jsonb_build_object('cache_id', c.id, 'created_at', c.created_at)
        into v_told, v_more
        from biz.ai_cache c where c.id = p_cache_id;
    if not found then
        return;
    end if;
    perform biz.ai_tell('ai_cache_updated', v_told);
    perform biz.ai_add_news('ai_cache_updated', (v_told ->> 'site_id')::bigint, v_told || v_more);
end $$;
