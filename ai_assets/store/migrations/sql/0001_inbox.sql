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
create function biz.ai_event_chain(event_type text, payload jsonb) returns text language sql immutable as $$
    select case event_type
        when 'consumption' then 'app3→app8→app7'
            || case when coalesce(payload ->> 'assistant_id', '') <> ''
                     and coalesce(payload ->> 'has_assistant', 'true') <> 'false'
                    then '→app4→app5' else '' end
        when 'note_created' then 'app6→app8'
        when 'task_assigned' then 'app4→app5'
        when 'dws_completed' then 'app2'
        when 'ai_dws_prewarm' then 'app2'
    end
$$;

-- A whole number in a JSON payload, or null; raises a plain sentence for anything else.
create function biz.ai_payload_id(payload jsonb, key text) returns bigint language plpgsql immutable as $$
declare
    value text := payload ->> key;
begin
    if coalesce(value, '') = '' then
        return null;
    end if;
    if value !~ '^[0-9]{1,18}$' or value::bigint = 0 then
        raise exception 'payload.% is not a positive whole number: %', key, left(value, 60)
            using errcode = 'AI001';
    end if;
    return value::bigint;
end $$;

-- Newest successful batch of a site, or the one named; what the duplicate rule of dws_completed looks at.
create function biz.ai_etl_batch(p_site bigint, p_batch text)
    returns table (batch_id text, biz_date date, finished_at timestamptz) language plpgsql stable as $$
begin
    return query
        select b.batch_id::text, b.biz_date, b.finished_at
        from dws.etl_batch b
        where b.site_id = p_site and b.status = 'success'
          and (p_batch is null or b.batch_id::text = p_batch)
        order by b.biz_date desc, b.finished_at desc nulls last
        limit 1;
exception when undefined_table or undefined_column or insufficient_privilege then
    return;
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
    v_type     text := biz.ai_canonical_event(coalesce(nullif(btrim(event_type), ''), '(none)'));
    v_site     bigint := site_id;
    v_member   bigint := nullif(member_id, 0);
    v_payload  jsonb := coalesce(payload, '{}');
    v_forced   boolean := coalesce(is_forced, false);
    v_source   text := coalesce(nullif(btrim(connector_type), ''), 'feiqiu');
    v_chain    text;
    v_key      text;
    v_date     date;
    v_zone     text;
    v_when     timestamptz;
    v_extra    text := '';
    v_error    text;
    v_id       bigint;
    v_holder   bigint;
    v_sites    jsonb := '{}';
    v_each     record;
    v_batch    record;
begin
    begin
        if octet_length(v_payload::text) > 256 * 1024 then
            v_payload := jsonb_build_object('dropped_bytes', octet_length(v_payload::text));
            raise exception 'payload is over 256 kB; send references, not contents' using errcode = 'AI001';
        end if;
        if jsonb_typeof(v_payload) <> 'object' then
            raise exception 'payload is a JSON %, not an object', jsonb_typeof(v_payload)
                using errcode = 'AI001';
        end if;
        v_chain := biz.ai_event_chain(v_type, v_payload);
        if v_chain is null then
            raise exception 'unknown event type: %', left(v_type, 60) using errcode = 'AI001';
        end if;

        if v_type = 'ai_dws_prewarm' then
            -- one event for all active sites; its own row says which jobs it became
            for v_each in execute 'select s.site_id from biz.sites s where s.is_active order by s.site_id' loop
                v_sites := v_sites || jsonb_build_object(v_each.site_id::text, biz.fire_ai_event(
                    'dws_completed', v_each.site_id, null, v_payload, v_forced, v_source));
            end loop;
            insert into biz.ai_trigger_jobs (event_type, site_id, connector_type, payload, is_forced,
                app_chain, status, business_date, step_results, started_at, finished_at)
            values (v_type, v_site, v_source, v_payload, v_forced, v_chain, 'completed', current_date,
                jsonb_build_array(jsonb_build_object('sites', v_sites)), clock_timestamp(), clock_timestamp())
            returning id into v_id;
            return v_id;
        end if;

        if v_site is null then
            raise exception '% without a site_id', v_type using errcode = 'AI001';
        end if;
        execute 'select s.timezone from biz.sites s where s.site_id = $1' into v_zone using v_site;
        if v_zone is null then
            raise exception 'site % is not in biz.sites', v_site using errcode = 'AI001';
        end if;

        if v_type = 'dws_completed' then
            v_member := null;
            select * into v_batch from biz.ai_etl_batch(v_site, nullif(v_payload ->> 'batch_id', ''));
            if v_batch.batch_id is not null then
                -- with its finish: a batch that is finished again (corrected) is another one
                v_payload := v_payload || jsonb_build_object('batch_id', v_batch.batch_id,
                    'batch_finished', coalesce(extract(epoch from v_batch.finished_at)::text, ''));
                v_extra := v_batch.batch_id || '@' || (v_payload ->> 'batch_finished');
                v_when := v_batch.finished_at;
            else
                v_extra := coalesce(v_payload ->> 'batch_id', '');
            end if;
        else
            v_member := coalesce(v_member, biz.ai_payload_id(v_payload, 'member_id'));
            if v_member is null then
                raise exception '% without a member', v_type using errcode = 'AI001';
            end if;
            perform biz.ai_payload_id(v_payload, 'assistant_id');
            if v_type = 'task_assigned' then
                if biz.ai_payload_id(v_payload, 'assistant_id') is null then
                    raise exception 'task_assigned without payload.assistant_id' using errcode = 'AI001';
                end if;
                v_extra := v_payload ->> 'assistant_id';
            elsif v_type = 'note_created' then
                if btrim(coalesce(v_payload ->> 'note_content', '')) = '' then
                    raise exception 'note_created without payload.note_content' using errcode = 'AI001';
                end if;
                v_extra := coalesce('id:' || nullif(v_payload ->> 'note_id', ''),
                                    'text:' || md5(v_payload ->> 'note_content'));
            end if;
        end if;

        if coalesce(v_payload ->> 'occurred_at', '') <> '' then
            begin
                if v_payload ->> 'occurred_at' !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' then
                    raise exception 'no date';
                end if;
                -- a time without an offset is meant in the site's own zone
                if v_payload ->> 'occurred_at' ~* '[0-9]{2}:[0-9]{2}.*(z|[+-][0-9]{2}(:?[0-9]{2})?)\s*$' then
                    v_when := (v_payload ->> 'occurred_at')::timestamptz;
                else
                    v_when := (v_payload ->> 'occurred_at')::timestamp at time zone v_zone;
                end if;
            exception when others then
                raise exception 'payload.occurred_at is not a time: %', left(v_payload ->> 'occurred_at', 60)
                    using errcode = 'AI001';
            end;
            if v_when > clock_timestamp() + interval '1 day' then
                raise exception 'payload.occurred_at is more than a day ahead: %',
                    left(v_payload ->> 'occurred_at', 60) using errcode = 'AI001';
            end if;
        end if;
        v_date := (coalesce(v_when, clock_timestamp()) at time zone v_zone)::date;
        v_key := md5(concat_ws('|', v_type, v_site, coalesce(v_member::text, '-'), v_date, v_extra));
    exception
        when sqlstate 'AI001' then
            v_error := sqlerrm;
        when others then
            v_error := 'the event could not be read: ' || sqlerrm;
    end;
    if v_error is not null then
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, status, error_message, business_date, finished_at)
        values (left(v_type, 200), v_site, v_member, left(v_source, 200), v_payload, v_forced, v_chain,
            'failed', left(v_error, 500), v_date, clock_timestamp())
        returning id into v_id;
        return v_id;
    end if;

    loop
        if v_forced then
            update biz.ai_trigger_jobs j set dedup_key = null where j.dedup_key = v_key;
        end if;
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, business_date, dedup_key)
        values (v_type, v_site, v_member, left(v_source, 200), v_payload, v_forced, v_chain, v_date, v_key)
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
                values (v_type, v_site, v_member, left(v_source, 200), v_payload, v_forced, v_chain,
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
