-- The door again, narrower: what workers and sensors could not read is refused with a sentence.

-- Text without the blanks of any language at its ends; those that have no width count too.
create function biz.ai_trim(value text) returns text language sql immutable as $$
    select btrim(value, E' \t\n\x0b\f\r\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u180e\u2000\u2001\u2002\u2003\u2004'
        '\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff')
$$;

-- Why a payload cannot be kept, or null; p_text is the payload as text. jsonb writes numbers out: 1e5000 is seven
-- characters when sent, and 5,001 digits when read.
create function biz.ai_payload_trouble(p_payload jsonb, p_text text) returns text language plpgsql immutable as $$
begin
    if octet_length(p_text) > 256 * 1024 then
        return 'payload is over 256 kB; send references, not contents';
    end if;
    -- levels count from 0: a list or object here is the 65th within each other
    if jsonb_path_exists(p_payload, 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")') then
        return 'payload is nested deeper than 64';
    end if;
    -- the pattern, quick, also finds digits within texts; 255 is the most that one count may say
    if octet_length(p_text) > 400 and p_text ~ '[0-9.]{255}[0-9.]{146}' and exists (
            select from jsonb_path_query(p_payload, 'strict $.** ? (@.type() == "number")') number
            where length(translate(number::text, '-.', '')) > 400) then
        return 'payload holds a number of more than 400 digits';
    end if;
    return null;
end $$;

-- As before, and up to bigint's greatest.
create or replace function biz.ai_payload_id(payload jsonb, key text) returns bigint
language plpgsql immutable as $$
declare
    value text := btrim(payload ->> key);
begin
    if coalesce(value, '') ~ '^0*$' then
        return null;
    end if;
    if value !~ '^[0-9]+$' then
        raise exception 'payload.% is not a positive whole number: %', key, left(value, 60)
            using errcode = 'AI001';
    end if;
    value := ltrim(value, '0');
    if length(value) > 19 or (length(value) = 19 and value collate "C" > '9223372036854775807') then
        raise exception 'payload.% is not a positive whole number up to 9223372036854775807: %',
            key, left(value, 60) using errcode = 'AI001';
    end if;
    return value::bigint;
end $$;

-- The door; its rules stand in docs/events.md.
create or replace function biz.fire_ai_event(
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
    v_text      text;
    v_key       text;
    v_error     text;
    v_id        bigint;
    v_holder    bigint;
begin
    begin
        v_text := v_payload::text;
        -- so short a payload can break none of the limits
        if octet_length(v_text) > 128 then
            v_error := biz.ai_payload_trouble(v_payload, v_text);
            if v_error is not null then
                v_payload := jsonb_build_object('dropped_bytes', octet_length(v_text));
            end if;
        end if;
        -- what Postgres could not have read was dropped by who sent it, with the reason
        if v_error is null and v_payload ? 'dropped_for' and v_payload ? 'dropped_bytes' then
            v_error := v_payload ->> 'dropped_for';
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
            raise exception 'unknown event type: %', left(v_type, 60) using errcode = 'AI001';
        end if;
        if v_type = 'ai_dws_prewarm' then
            return biz.ai_fire_prewarm(v_site, v_payload, v_forced, v_source);
        end if;
        if v_site is null and v_payload ? 'site_id_sent' then
            raise exception 'site_id is not a positive whole number up to 9223372036854775807: %',
                left(v_payload ->> 'site_id_sent', 60) using errcode = 'AI001';
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
            if v_member < 0 and v_payload ? 'member_id_sent' then
                raise exception 'member_id is not a positive whole number up to 9223372036854775807: %',
                    left(v_payload ->> 'member_id_sent', 60) using errcode = 'AI001';
            end if;
            if v_member < 0 then
                raise exception 'member_id is not a positive whole number: %', v_member using errcode = 'AI001';
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
                raise exception 'payload.occurred_at is outside 1900-01-01 to 2999-12-31: %',
                    left(v_payload ->> 'occurred_at', 60) using errcode = 'AI001';
            end if;
            raise exception 'batch % says it finished outside 1900-01-01 to 2999-12-31: %',
                left(v_payload ->> 'batch_id', 60), v_when using errcode = 'AI001';
        end if;
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
