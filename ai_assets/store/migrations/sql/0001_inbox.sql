-- The door for events. Bad input never raises: it is recorded, so that nothing that was sent is lost.

create function biz.ai_canonical_event(event_type text) returns text language sql immutable as $$
    select case event_type
        when 'ai_consumption_settled' then 'consumption'
        when 'ai_note_created' then 'note_created'
        when 'ai_task_assigned' then 'task_assigned'
        when 'ai_dws_completed' then 'dws_completed'
        else event_type
    end
$$;

-- The chain an event starts, or null for a type that nobody knows.
create function biz.ai_event_chain(event_type text, with_assistant boolean) returns text
language sql immutable as $$
    select case event_type
        when 'consumption' then 'app3→app8→app7' || case when with_assistant then '→app4→app5' else '' end
        when 'note_created' then 'app6→app8'
        when 'task_assigned' then 'app4→app5'
        when 'dws_completed' then 'app2'
        when 'ai_dws_prewarm' then 'app2'
    end
$$;

-- A whole number in a JSON payload, or null (0 is none, as in the backend); anything else raises a sentence.
create function biz.ai_payload_id(payload jsonb, key text) returns bigint language plpgsql immutable as $$
declare
    value text := btrim(payload ->> key);
begin
    if coalesce(value, '') ~ '^0*$' then
        return null;
    end if;
    if value !~ '^[0-9]{1,18}$' then
        raise exception 'payload.% is not a positive whole number: %', key, left(value, 60)
            using errcode = 'AI001';
    end if;
    return value::bigint;
end $$;

-- When an event says it happened, or null; a time without an offset is meant in the site's own zone. ISO 8601
-- only: what else Postgres reads depends on the settings of the caller's session.
create function biz.ai_occurred_at(payload jsonb, zone text) returns timestamptz language plpgsql stable as $$
declare
    v_text text := btrim(payload ->> 'occurred_at');
    v_when timestamptz;
begin
    if coalesce(v_text, '') = '' then
        return null;
    end if;
    begin
        if v_text !~* '^\d{4}-\d\d-\d\d([t ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(z|[+-]\d\d(:?\d\d)?)?)?$' then
            raise exception 'not ISO 8601';
        end if;
        if v_text ~* ':\d\d(\.\d+)?\s*(z|[+-]\d\d(:?\d\d)?)$' then
            v_when := v_text::timestamptz;
        else
            v_when := v_text::timestamp at time zone zone;
        end if;
    exception when others then
        raise exception 'payload.occurred_at is not a time such as 2026-01-31T18:30:00+08:00: %', left(v_text, 60)
            using errcode = 'AI001';
    end;
    if v_when > clock_timestamp() + interval '1 day' then
        raise exception 'payload.occurred_at is more than a day ahead: %', left(v_text, 60)
            using errcode = 'AI001';
    end if;
    return v_when;
end $$;

-- A site's time zone; raises a sentence where there is no such site, or no such zone.
create function biz.ai_site_zone(p_site bigint) returns text language plpgsql stable as $$
declare
    v_zone text;
begin
    begin
        -- the same default as the warehouse's reader
        execute $sql$select coalesce(nullif(btrim(s.timezone), ''), 'Asia/Shanghai')
            from biz.sites s where s.site_id = $1 limit 1$sql$ into v_zone using p_site;
    exception when undefined_table or undefined_column or insufficient_privilege then
        raise exception 'biz.sites cannot be read: %', sqlerrm using errcode = 'AI001';
    end;
    if v_zone is null then
        raise exception 'site % is not in biz.sites', p_site using errcode = 'AI001';
    end if;
    begin
        perform clock_timestamp() at time zone v_zone;
    exception when invalid_parameter_value then
        raise exception 'site % has an unknown time zone in biz.sites: %', p_site, left(v_zone, 60)
            using errcode = 'AI001';
    end;
    return v_zone;
end $$;

-- Newest successful batch of a site, or the one named; what the duplicate rule of dws_completed looks at.
create function biz.ai_etl_batch(p_site bigint, p_batch text)
    returns table (batch_id text, finished_at timestamptz) language plpgsql stable as $$
begin
    -- the same order as the warehouse's reader
    return query
        select b.batch_id::text, b.finished_at::timestamptz
        from dws.etl_batch b
        where b.site_id = p_site and b.status = 'success' and b.biz_date is not null
          and (p_batch is null or b.batch_id::text = p_batch)
        order by b.biz_date desc, b.finished_at desc nulls last, b.batch_id desc
        limit 1;
exception when undefined_table or undefined_column or insufficient_privilege then
    return;
end $$;

-- One event for all active sites becomes an event each; its own row says which jobs it became.
create function biz.ai_fire_prewarm(p_site bigint, p_payload jsonb, p_forced boolean, p_source text)
returns bigint language plpgsql as $$
declare
    v_site   bigint;
    v_jobs   jsonb := '[]';
    v_ids    bigint[] := '{}';
    v_failed integer;
    v_id     bigint;
begin
    begin
        for v_site in execute
            'select distinct s.site_id::bigint from biz.sites s where s.is_active order by 1'
        loop
            v_id := biz.fire_ai_event('dws_completed', v_site, null, p_payload, p_forced, p_source);
            v_ids := v_ids || v_id;
            v_jobs := v_jobs || jsonb_build_object('site_id', v_site, 'trigger_job_id', v_id);
        end loop;
    exception when undefined_table or undefined_column or insufficient_privilege then
        raise exception 'biz.sites cannot be read: %', sqlerrm using errcode = 'AI001';
    end;
    if cardinality(v_ids) = 0 then
        raise exception 'there is no active site in biz.sites' using errcode = 'AI001';
    end if;
    select count(*) into v_failed from biz.ai_trigger_jobs j where j.id = any(v_ids) and j.status = 'failed';
    insert into biz.ai_trigger_jobs (event_type, site_id, connector_type, payload, is_forced, app_chain,
        step_results, started_at, finished_at, status, error_message)
    values ('ai_dws_prewarm', p_site, p_source, p_payload, p_forced, biz.ai_event_chain('ai_dws_prewarm', false),
        v_jobs, clock_timestamp(), clock_timestamp(),
        case v_failed when 0 then 'completed' when cardinality(v_ids) then 'failed' else 'partial' end,
        case when v_failed > 0 then format('%s of %s sites could not be taken in: see their own trigger jobs',
            v_failed, cardinality(v_ids)) end)
    returning id into v_id;
    return v_id;
end $$;

-- Takes an event in; returns the trigger job's id. Bad input is a row with an error.
create function biz.fire_ai_event(
    event_type text,
    site_id bigint,
    member_id bigint default null,
    payload jsonb default '{}',
    is_forced boolean default false,
    connector_type text default 'feiqiu'
) returns bigint language plpgsql as $$
declare
    v_type      text := biz.ai_canonical_event(coalesce(nullif(btrim(event_type), ''), '(none)'));
    v_site      bigint := site_id;
    v_member    bigint := nullif(member_id, 0);
    v_payload   jsonb := coalesce(payload, '{}');
    v_forced    boolean := coalesce(is_forced, false);
    v_source    text := left(coalesce(nullif(btrim(connector_type), ''), 'feiqiu'), 200);
    v_chain     text;
    v_assistant bigint;
    v_batch     record;
    v_zone      text;
    v_when      timestamptz;
    v_date      date;
    v_extra     text := '';
    v_key       text;
    v_error     text;
    v_id        bigint;
    v_holder    bigint;
begin
    begin
        if octet_length(v_payload::text) > 256 * 1024 then
            v_payload := jsonb_build_object('dropped_bytes', octet_length(v_payload::text));
            raise exception 'payload is over 256 kB; send references, not contents' using errcode = 'AI001';
        end if;
        if jsonb_typeof(v_payload) <> 'object' then
            v_payload := jsonb_build_object('not_an_object', v_payload);
            raise exception 'payload is a JSON %, not an object', jsonb_typeof(v_payload -> 'not_an_object')
                using errcode = 'AI001';
        end if;
        v_chain := biz.ai_event_chain(v_type, false);
        if v_chain is null then
            raise exception 'unknown event type: %', left(v_type, 60) using errcode = 'AI001';
        end if;
        if v_type = 'ai_dws_prewarm' then
            return biz.ai_fire_prewarm(v_site, v_payload, v_forced, v_source);
        end if;
        if v_site is null then
            raise exception '% without a site_id', v_type using errcode = 'AI001';
        end if;

        if v_type = 'dws_completed' then
            v_member := null;
            -- with its finish: a batch that is finished again (corrected) is another one. Looked up before
            -- anything can fail: the row of a failed event still says which batch it was about.
            v_payload := v_payload - 'batch_finished';
            v_extra := coalesce(v_payload ->> 'batch_id', '');
            select * into v_batch from biz.ai_etl_batch(v_site, nullif(v_extra, ''));
            if v_batch.batch_id is not null then
                v_payload := v_payload || jsonb_build_object('batch_id', v_batch.batch_id,
                    'batch_finished', coalesce(extract(epoch from v_batch.finished_at)::text, ''));
                v_extra := v_batch.batch_id || '@' || (v_payload ->> 'batch_finished');
                -- it happened when the batch finished: sent again the next morning, it is the same event
                v_when := v_batch.finished_at;
            end if;
        end if;
        v_zone := biz.ai_site_zone(v_site);

        if v_type <> 'dws_completed' then
            if v_member < 0 then
                raise exception 'member_id is not a positive whole number: %', v_member using errcode = 'AI001';
            end if;
            v_member := coalesce(v_member, biz.ai_payload_id(v_payload, 'member_id'));
            if v_member is null then
                raise exception '% without a member', v_type using errcode = 'AI001';
            end if;
            if v_type = 'consumption' then
                -- an id beside has_assistant = false is left over; the flag without an id: no assistant
                if lower(coalesce(v_payload ->> 'has_assistant', 'true')) not in ('false', 'f', 'no', '0') then
                    v_assistant := biz.ai_payload_id(v_payload, 'assistant_id');
                end if;
                v_chain := biz.ai_event_chain(v_type, v_assistant is not null);
            elsif v_type = 'task_assigned' then
                v_assistant := biz.ai_payload_id(v_payload, 'assistant_id');
                if v_assistant is null then
                    raise exception 'task_assigned without payload.assistant_id' using errcode = 'AI001';
                end if;
                v_extra := v_assistant::text;
            elsif v_type = 'note_created' then
                if btrim(coalesce(v_payload ->> 'note_content', ''), E' \t\r\n') = '' then
                    raise exception 'note_created without payload.note_content' using errcode = 'AI001';
                end if;
                v_extra := coalesce('id:' || nullif(nullif(btrim(v_payload ->> 'note_id'), ''), '0'),
                                    'text:' || md5(v_payload ->> 'note_content'));
            end if;
        end if;

        v_when := coalesce(biz.ai_occurred_at(v_payload, v_zone), v_when, clock_timestamp());
        v_date := (v_when at time zone v_zone)::date;
        -- to_char: a date as text follows the DateStyle of the caller's session
        v_key := md5(concat_ws('|', v_type, v_site, coalesce(v_member::text, '-'), to_char(v_date, 'YYYY-MM-DD'),
                               v_extra));
    exception
        when sqlstate 'AI001' then
            v_error := sqlerrm;
        when others then
            v_error := 'the event could not be read: ' || sqlerrm;
    end;
    if v_error is not null then
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, status, error_message, business_date, finished_at)
        values (left(v_type, 200), v_site, v_member, v_source, v_payload, v_forced, v_chain, 'failed',
            left(regexp_replace(v_error, '[[:cntrl:]]+', ' ', 'g'), 500), v_date, clock_timestamp())
        returning id into v_id;
        return v_id;
    end if;

    loop
        if v_forced then
            update biz.ai_trigger_jobs j set dedup_key = null where j.dedup_key = v_key;
        end if;
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, business_date, dedup_key)
        values (v_type, v_site, v_member, v_source, v_payload, v_forced, v_chain, v_date, v_key)
        on conflict (dedup_key) where dedup_key is not null do nothing
        returning id into v_id;
        if v_id is not null then
            return v_id;
        end if;
        if not v_forced then
            select j.id into v_holder from biz.ai_trigger_jobs j where j.dedup_key = v_key;
            if v_holder is not null then
                insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload,
                    is_forced, app_chain, status, duplicate_of, business_date, finished_at)
                values (v_type, v_site, v_member, v_source, v_payload, v_forced, v_chain,
                    'duplicate', v_holder, v_date, clock_timestamp())
                returning id into v_id;
                return v_id;
            end if;
        end if;
        -- the holder let go of the key in between: try again
    end loop;
end $$;

-- A job that ends failed or dead lets go of its key, whoever ends it.
create function biz.ai_release_key() returns trigger language plpgsql as $$
begin
    new.dedup_key := null;
    return new;
end $$;
create trigger ai_trigger_jobs_release before update of status on biz.ai_trigger_jobs
    for each row when (new.status in ('failed', 'dead') and new.dedup_key is not null)
    execute function biz.ai_release_key();
