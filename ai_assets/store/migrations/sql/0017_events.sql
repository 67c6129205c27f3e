-- Events: site and member from the payload, the assistant's own key, repeats of partial jobs, walk-in consumptions.

alter table biz.ai_trigger_jobs drop constraint ai_trigger_jobs_status_check;
alter table biz.ai_trigger_jobs
    add constraint ai_trigger_jobs_status_check check (status in ('pending', 'running', 'completed', 'partial',
        'failed', 'dead', 'duplicate', 'ignored')),
    -- The partial job whose event this is again: a member's chain takes over what that one gave. No foreign key: a job
    -- that retention removed leaves nothing to take over.
    add column repeat_of bigint;

-- A positive whole number in a JSON payload, or null where the key is missing, empty or 0. 7.0 is 7: some senders keep
-- ids as floating-point numbers. Raises AI001 otherwise.
create or replace function biz.ai_payload_id(payload jsonb, key text) returns bigint
language plpgsql immutable as $$
declare
    value text := regexp_replace(btrim(payload ->> key), '^([0-9]+)\.0*$', '\1');
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
    v_site      bigint := nullif(site_id, 0);
    v_member    bigint := nullif(member_id, 0);
    v_payload   jsonb := coalesce(payload, '{}');
    v_forced    boolean := coalesce(is_forced, false);
    v_source    text := left(coalesce(nullif(btrim(connector_type), ''), 'feiqiu'), 200);
    v_chain     text;
    -- of a consumption: whether an assistant was present, and whether there is no member
    v_assisted  boolean := false;
    v_walk_in   boolean := false;
    v_batch     record;
    v_zone      text;
    v_when      timestamptz;
    v_date      date;
    v_extra     text := '';
    v_text      text;
    v_key       text;
    v_pair_key  text;
    v_error     text;
    v_id        bigint;
    v_holder    record;
    v_repeat_of bigint;
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
        v_site := coalesce(v_site, biz.ai_payload_id(v_payload, 'site_id'));
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
            if v_type = 'consumption' then
                v_walk_in := v_member is null;
                -- The flag alone decides, and an id must be there. Whether the id can be used is the chain's matter: an
                -- assistant that is not there stops none of the member's own steps.
                v_assisted := lower(biz.ai_trim(coalesce(v_payload ->> 'has_assistant', '')))
                        in ('true', 't', 'yes', 'y', 'on', '1', '1.0')
                    and btrim(coalesce(v_payload ->> 'assistant_id', '')) !~ '^(0+(\.0*)?)?$';
                v_chain := biz.ai_event_chain(v_type, v_assisted);
            elsif v_member is null then
                raise exception '% without a member', v_type using errcode = 'AI001';
            elsif v_type = 'task_assigned' then
                v_extra := biz.ai_payload_id(v_payload, 'assistant_id')::text;
                if v_extra is null then
                    raise exception 'task_assigned without payload.assistant_id' using errcode = 'AI001';
                end if;
            elsif v_type = 'note_created' then
                if biz.ai_trim(coalesce(v_payload ->> 'note_content', '')) = '' then
                    raise exception 'note_created without payload.note_content' using errcode = 'AI001';
                end if;
                v_extra := coalesce('id:' || nullif(nullif(
                    regexp_replace(btrim(v_payload ->> 'note_id'), '^([0-9]+)\.0*$', '\1'), ''), '0'),
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
        if v_type = 'consumption' then
            -- of App4 and App5 alone, where an earlier consumption of the day had no assistant
            v_pair_key := md5(v_key || '|assistant');
        end if;
    exception
        when sqlstate 'AI001' then
            v_error := sqlerrm;
        when others then
            -- not sqlerrm: Postgres quotes the input that it could not read
            v_error := format('the event could not be read: SQLSTATE %s', sqlstate);
    end;
    if v_type = 'dws_completed' and v_error is null
            -- what would be a duplicate anyway does not wait for a run
            and (v_forced or not exists (select from biz.ai_trigger_jobs j
                where j.dedup_key = v_key and j.status <> 'partial'))
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
    if v_walk_in then
        -- normal in this business: no error, no alert, no key
        insert into biz.ai_trigger_jobs (event_type, site_id, connector_type, payload, is_forced, status,
            business_date, finished_at)
        values (v_type, v_site, v_source, v_payload, v_forced, 'ignored', v_date, clock_timestamp())
        returning id into v_id;
        return v_id;
    end if;

    loop
        select j.id, j.status, j.app_chain into v_holder from biz.ai_trigger_jobs j where j.dedup_key = v_key;
        v_repeat_of := null;
        if v_holder.id is not null and not v_forced then
            if v_assisted and v_key <> v_pair_key and v_holder.app_chain not like '%app4%' then
                v_key := v_pair_key;
                v_chain := biz.ai_event_chain('task_assigned', true);
                continue;
            end if;
            if v_holder.status <> 'partial' then
                insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload,
                    is_forced, app_chain, status, duplicate_of, business_date, finished_at)
                values (v_type, v_site, v_member, v_source, v_payload, v_forced, v_chain,
                    'duplicate', v_holder.id, v_date, clock_timestamp())
                returning id into v_id;
                return v_id;
            end if;
        end if;
        if v_holder.id is not null then
            -- The key passes to this event. An event without an assistant leaves an earlier one its App4 and App5.
            begin
                update biz.ai_trigger_jobs j
                    set dedup_key = case when not v_assisted and j.app_chain like '%app4%' then v_pair_key end
                    where j.id = v_holder.id and j.dedup_key = v_key and (v_forced or j.status = 'partial');
            exception when unique_violation then
                -- another event of the day has them
                update biz.ai_trigger_jobs j set dedup_key = null
                    where j.id = v_holder.id and j.dedup_key = v_key and (v_forced or j.status = 'partial');
            end;
            -- not found: another sender was quicker, or it runs again
            continue when not found;
            if not v_forced then
                v_repeat_of := v_holder.id;
            end if;
        end if;
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, business_date, dedup_key, repeat_of)
        values (v_type, v_site, v_member, v_source, v_payload, v_forced, v_chain, v_date, v_key, v_repeat_of)
        on conflict (dedup_key) where dedup_key is not null do nothing
        returning id into v_id;
        if v_id is not null then
            return v_id;
        end if;
        -- another sender was quicker: look again
    end loop;
end $$;

-- As before; an ignored event is told as such.
create or replace function biz.ai_replay_job(p_job bigint, p_forced boolean, out outcome text, out replay bigint)
language plpgsql as $$
declare
    v_job     biz.ai_trigger_jobs;
    v_payload jsonb;
begin
    -- One at a time: two jobs of one key could wait for each other.
    perform pg_advisory_xact_lock(hashtextextended('ai_assets.replay', 0));
    select * into v_job from biz.ai_trigger_jobs j where j.id = p_job for no key update;
    if not found then
        outcome := 'missing';
        return;
    end if;
    if v_job.status in ('pending', 'running') then
        outcome := v_job.status;
        return;
    end if;
    select j.id into replay from biz.ai_trigger_jobs j where j.replay_of = p_job;
    if found then
        outcome := 'replayed_before';
        return;
    end if;
    -- Without a chain it is an event that somebody sent with this name: it is refused again.
    if v_job.event_type = 'manual' and v_job.app_chain is not null then
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, background, replay_of)
        values (v_job.event_type, v_job.site_id, v_job.member_id, v_job.connector_type, v_job.payload, p_forced,
            v_job.app_chain, v_job.background, p_job)
        returning id into replay;
        outcome := 'replayed';
        return;
    end if;
    v_payload := v_job.payload;
    if v_job.status = 'failed' and v_job.attempts = 0
            and (v_payload ? 'dropped_bytes' or v_payload ? 'not_an_object') then
        outcome := 'payload_lost';
        return;
    end if;
    -- An event without a time happened when it came; a batch, when it finished.
    if v_job.event_type not in ('dws_completed', 'ai_dws_prewarm')
            and coalesce(btrim(v_payload ->> 'occurred_at'), '') = '' then
        v_payload := v_payload || jsonb_build_object('occurred_at',
            to_char(v_job.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    end if;
    update biz.ai_trigger_jobs j set dedup_key = null where j.id = p_job and j.dedup_key is not null;
    replay := biz.fire_ai_event(v_job.event_type, v_job.site_id, v_job.member_id, v_payload,
        p_forced or v_job.status = 'duplicate', v_job.connector_type);
    update biz.ai_trigger_jobs j set replay_of = p_job, is_forced = p_forced where j.id = replay
        returning case when j.status in ('duplicate', 'failed', 'ignored') then j.status else 'replayed' end into outcome;
end $$;
