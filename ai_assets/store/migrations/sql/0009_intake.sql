-- Event intake: errors name a key and never its value, and a batch dated in the future is not used.

-- The latest business date that a batch of this site may have: the site's tomorrow, by the database's clock. Every
-- reader of dws.etl_batch applies it. One mistyped year would otherwise become the as-of date of all the site's prompts.
create function biz.ai_latest_batch_date(p_site bigint) returns date language plpgsql stable as $$
begin
    return (clock_timestamp() at time zone biz.ai_site_zone(p_site))::date + 1;
exception when sqlstate 'AI001' then
    -- no such site or no such time zone: the site's events fail with that reason
    return (clock_timestamp() at time zone 'Asia/Shanghai')::date + 1;
end $$;

-- A site's time zone. Raises AI001 where the site or its zone is unknown.
create or replace function biz.ai_site_zone(p_site bigint) returns text language plpgsql stable as $$
declare
    v_zone text;
begin
    begin
        -- the same default as in ai_assets/warehouse/sites.py
        execute $sql$select coalesce(nullif(btrim(s.timezone), ''), 'Asia/Shanghai')
            from biz.sites s where s.site_id = $1 limit 1$sql$ into v_zone using p_site;
    exception when undefined_table or undefined_column or insufficient_privilege then
        raise exception 'biz.sites cannot be read: %', sqlerrm using errcode = 'AI001';
    end;
    if v_zone is null then
        raise exception 'site_id is not in biz.sites' using errcode = 'AI001';
    end if;
    begin
        perform clock_timestamp() at time zone v_zone;
    exception when invalid_parameter_value then
        raise exception 'biz.sites.timezone of this site is not a known time zone' using errcode = 'AI001';
    end;
    return v_zone;
end $$;

-- A positive whole number in a JSON payload, or null where the key is missing, empty or 0. Raises AI001 otherwise.
create or replace function biz.ai_payload_id(payload jsonb, key text) returns bigint
language plpgsql immutable as $$
declare
    value text := btrim(payload ->> key);
begin
    if coalesce(value, '') ~ '^0*$' then
        return null;
    end if;
    if value !~ '^[0-9]+$' then
        raise exception 'payload.% is not a positive whole number', key using errcode = 'AI001';
    end if;
    value := ltrim(value, '0');
    if length(value) > 19 or (length(value) = 19 and value collate "C" > '9223372036854775807') then
        raise exception 'payload.% is not a positive whole number up to 9223372036854775807', key
            using errcode = 'AI001';
    end if;
    return value::bigint;
end $$;

-- payload.occurred_at, or null where it is missing. A time without an offset is in the site's zone. Only ISO 8601 is
-- read: what else Postgres accepts depends on the settings of the caller's session. Raises AI001 otherwise.
create or replace function biz.ai_occurred_at(payload jsonb, zone text) returns timestamptz
language plpgsql stable as $$
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
        raise exception 'payload.occurred_at is not a time such as 2026-01-31T18:30:00+08:00'
            using errcode = 'AI001';
    end;
    if v_when > clock_timestamp() + interval '1 day' then
        raise exception 'payload.occurred_at is more than a day ahead' using errcode = 'AI001';
    end if;
    return v_when;
end $$;

-- The site's successful batch of this id, or, without an id, its newest one that may be used.
drop function biz.ai_etl_batch(bigint, text);
create function biz.ai_etl_batch(p_site bigint, p_batch text)
    returns table (batch_id text, biz_date date, finished_at timestamptz, is_usable boolean)
    language plpgsql stable as $$
declare
    v_latest date := biz.ai_latest_batch_date(p_site);
begin
    -- the same order as in ai_assets/warehouse/sites.py
    return query
        select b.batch_id::text, b.biz_date::date, b.finished_at::timestamptz, b.biz_date::date <= v_latest
        from dws.etl_batch b
        where b.site_id = p_site and b.status = 'success' and b.biz_date is not null
          and case when p_batch is null then b.biz_date::date <= v_latest else b.batch_id::text = p_batch end
        order by b.biz_date desc, b.finished_at desc nulls last, b.batch_id desc
        limit 1;
exception when undefined_table or undefined_column or insufficient_privilege then
    return;
end $$;

-- Takes an event in and returns its trigger job's id. Bad input becomes a failed job and never raises. Rules:
-- docs/events.md. An error_message names the key that is wrong, never its value: the value may be a person's data.
create or replace function biz.fire_ai_event(
    event_type text,
    site_id bigint,
    member_id bigint default null,
    payload jsonb default '{}',
    is_forced boolean default false,
    connector_type text default 'feiqiu'
) returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
    v_text      text;
    v_key       text;
    v_error     text;
    v_id        bigint;
    v_holder    bigint;
begin
    begin
        v_text := v_payload::text;
        -- a payload this short cannot exceed any limit
        if octet_length(v_text) > 128 then
            v_error := biz.ai_payload_trouble(v_payload, v_text);
            if v_error is not null then
                v_payload := jsonb_build_object('dropped_bytes', octet_length(v_text));
            end if;
        end if;
        -- the sender dropped a payload that Postgres could not have read (ai_assets/store/payloads.py). Only its own
        -- reasons are repeated: anybody can send this key with any text.
        if v_error is null and v_payload ? 'dropped_for' and v_payload ? 'dropped_bytes' then
            v_error := v_payload ->> 'dropped_for';
            if v_error is null or v_error not in (
                    'payload is over 256 kB; send references, not contents', 'payload is nested deeper than 64',
                    'payload holds a number of more than 400 digits', 'payload cannot be written as JSON') then
                v_error := 'payload was dropped by its sender';
            end if;
            v_payload := v_payload - 'dropped_for';
        end if;
        if v_error is not null then
            raise exception '%', v_error using errcode = 'AI001';
        end if;
        if jsonb_typeof(v_payload) <> 'object' then
            v_payload := jsonb_build_object('not_an_object', v_payload);
            raise exception 'payload is a JSON %, not an object', jsonb_typeof(v_payload -> 'not_an_object')
                using errcode = 'AI001';
        end if;
        v_chain := biz.ai_event_chain(v_type, false);
        if v_chain is null then
            raise exception 'unknown event type: event_type is none of consumption, note_created, task_assigned, '
                'dws_completed, ai_dws_prewarm' using errcode = 'AI001';
        end if;
        if v_type = 'ai_dws_prewarm' then
            return biz.ai_fire_prewarm(v_site, v_payload, v_forced, v_source);
        end if;
        if v_site is null and v_payload ? 'site_id_sent' then
            raise exception 'site_id is not a positive whole number up to 9223372036854775807'
                using errcode = 'AI001';
        end if;
        if v_site is null then
            raise exception '% without a site_id', v_type using errcode = 'AI001';
        end if;

        if v_type = 'dws_completed' then
            v_member := null;
            -- with its finish: a batch that is finished again (corrected) is another one. Looked up before
            -- anything can fail: the row of a failed event still says which batch it was about.
            v_payload := v_payload - 'batch_finished' - 'batch_date' - 'batch_unusable';
            v_extra := coalesce(v_payload ->> 'batch_id', '');
            select * into v_batch from biz.ai_etl_batch(v_site, nullif(v_extra, ''));
            if v_batch.batch_id is not null then
                v_payload := v_payload || jsonb_build_object('batch_id', v_batch.batch_id,
                    'batch_date', coalesce(to_char(v_batch.biz_date, 'YYYY-MM-DD'), ''),
                    'batch_finished', coalesce(extract(epoch from v_batch.finished_at)::text, ''));
                if not v_batch.is_usable then
                    v_payload := v_payload || '{"batch_unusable": true}';
                    raise exception 'the batch of payload.batch_id is dated after the site''s tomorrow: '
                        'correct biz_date in dws.etl_batch' using errcode = 'AI001';
                end if;
                v_extra := v_batch.batch_id || '@' || (v_payload ->> 'batch_finished');
                -- it happened when the batch finished: sent again the next morning, it is the same event
                v_when := v_batch.finished_at;
            end if;
        end if;
        v_zone := biz.ai_site_zone(v_site);

        if v_type <> 'dws_completed' then
            if v_member < 0 and v_payload ? 'member_id_sent' then
                raise exception 'member_id is not a positive whole number up to 9223372036854775807'
                    using errcode = 'AI001';
            end if;
            if v_member < 0 then
                raise exception 'member_id is not a positive whole number' using errcode = 'AI001';
            end if;
            v_member := coalesce(v_member, biz.ai_payload_id(v_payload, 'member_id'));
            if v_member is null then
                raise exception '% without a member', v_type using errcode = 'AI001';
            end if;
            if v_type = 'consumption' then
                -- an id beside has_assistant = false is left over; the flag without an id: no assistant
                if lower(biz.ai_trim(coalesce(v_payload ->> 'has_assistant', 'true')))
                        not in ('false', 'f', 'no', 'n', 'off', '0', '') then
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
                if biz.ai_trim(coalesce(v_payload ->> 'note_content', '')) = '' then
                    raise exception 'note_created without payload.note_content' using errcode = 'AI001';
                end if;
                v_extra := coalesce('id:' || nullif(nullif(btrim(v_payload ->> 'note_id'), ''), '0'),
                                    'text:' || md5(v_payload ->> 'note_content'));
            end if;
        end if;

        v_when := coalesce(biz.ai_occurred_at(v_payload, v_zone), v_when, clock_timestamp());
        v_date := (v_when at time zone v_zone)::date;
        if v_date not between date '1900-01-01' and date '2999-12-31' then
            v_date := null;
            if btrim(coalesce(v_payload ->> 'occurred_at', '')) <> '' then
                raise exception 'payload.occurred_at is outside 1900-01-01 to 2999-12-31' using errcode = 'AI001';
            end if;
            raise exception 'finished_at of the batch in dws.etl_batch is outside 1900-01-01 to 2999-12-31'
                using errcode = 'AI001';
        end if;
        -- to_char: a date as text follows the DateStyle of the caller's session
        v_key := md5(concat_ws('|', v_type, v_site, coalesce(v_member::text, '-'), to_char(v_date, 'YYYY-MM-DD'),
                               v_extra));
    exception
        when sqlstate 'AI001' then
            v_error := sqlerrm;
        when others then
            -- not sqlerrm: Postgres quotes the input that it could not read
            v_error := format('the event could not be read: SQLSTATE %s', sqlstate);
    end;
    if v_type = 'dws_completed' and v_error is null
            -- what would be a duplicate anyway does not wait for a run
            and (v_forced or not exists (select from biz.ai_trigger_jobs j where j.dedup_key = v_key))
            and (select count(*) from (select from biz.ai_trigger_jobs j
                where j.status = 'pending' and j.event_type = 'dws_completed' and j.site_id = v_site limit 100) p) >= 100
    then
        -- nothing is lost: a run uses the site's newest batch, whichever event it was started for
        v_error := 'the site has 100 pending dws_completed events: look why its runs do not start';
    end if;
    if v_type = 'dws_completed' then
        -- before the row's id is drawn: see biz.ai_batches_after
        perform pg_advisory_xact_lock_shared(hashtextextended('ai_assets.batch_events', 0));
    end if;
    if v_error is not null then
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, status, error_message, business_date, finished_at)
        values (left(v_type, 200), v_site, v_member, v_source, v_payload, v_forced, v_chain, 'failed',
            left(v_error, 500), v_date, clock_timestamp())
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
        -- the holder released the key in between: try again
    end loop;
end $$;

-- The batches that events were recorded for after the trigger job p_after, by trigger job and each batch once; without
-- p_after, those recorded since p_since. `is_usable` is false for a batch dated after the site's tomorrow.
--
-- The caller keeps the last trigger job as its cursor, so a job with a lower id must not be committed afterwards.
-- Intake holds a shared lock from before it draws the id until it commits. If one does now, nothing is returned, and
-- the caller asks again later.
create function biz.ai_batches_after(p_after bigint, p_since timestamptz, p_limit integer)
    returns table (trigger_job_id bigint, site_id bigint, batch_id text, batch_date text, batch_finished text,
        is_usable boolean)
    language plpgsql as $$
declare
    v_after bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ai_assets.batch_events', 0)) then
        return;
    end if;
    if p_after is null then
        select min(j.id) - 1 into v_after from biz.ai_trigger_jobs j
            where j.event_type = 'dws_completed' and j.created_at >= p_since;
    else
        -- a database that was restored to an earlier state draws ids again that the cursor is already past
        select least(p_after, max(j.id)) into v_after from biz.ai_trigger_jobs j where j.event_type = 'dws_completed';
    end if;
    return query
        select j.id, j.site_id, j.payload ->> 'batch_id', j.payload ->> 'batch_date', j.payload ->> 'batch_finished',
            not j.payload ? 'batch_unusable'
        from biz.ai_trigger_jobs j
        where j.event_type = 'dws_completed' and j.id > v_after and j.status <> 'duplicate' and j.site_id is not null
          -- events of earlier versions have no date; their batches were reported when they were recorded
          and j.payload ? 'batch_date'
          and not exists (select from biz.ai_trigger_jobs e
              where e.event_type = 'dws_completed' and e.site_id = j.site_id and e.id < j.id
                and e.payload ->> 'batch_id' = j.payload ->> 'batch_id'
                and e.payload ->> 'batch_finished' = j.payload ->> 'batch_finished'
                and coalesce(e.payload ->> 'batch_date', j.payload ->> 'batch_date') = j.payload ->> 'batch_date')
        order by j.id limit p_limit;
end $$;
create index ai_trigger_jobs_of_sites on biz.ai_trigger_jobs (id) where event_type = 'dws_completed';

-- The sensor looks at the head of each site's queue only.
create index ai_trigger_jobs_site_queue on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and event_type = 'dws_completed';
drop index biz.ai_trigger_jobs_due_sites;

-- Alerts of type bad_batch.
alter table biz.ai_alerts drop constraint ai_alerts_alert_type_check;
alter table biz.ai_alerts add constraint ai_alerts_alert_type_check check (alert_type in ('circuit_open',
    'rate_limited', 'budget_exceeded', 'timeout', 'failed', 'budget_warning', 'app_blocked', 'bad_batch', 'dead'));
