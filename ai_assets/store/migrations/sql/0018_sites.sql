-- biz.sites may have site_id alone: one function reads it, and fills in what the table does not have.

-- The sites, or the one of this id. Without the column name, timezone or is_active: no name, the zone that
-- `ai-assets db upgrade` stored, active. Only columns of the data contract are read, so that rights on these suffice.
-- Raises what Postgres says of a table that cannot be read.
create function biz.ai_sites(p_site bigint default null)
    returns table (site_id bigint, name text, timezone text, is_active boolean)
    language plpgsql stable rows 100 as $$
declare
    v_columns text[] := array(
        select a.attname::text from pg_catalog.pg_attribute a
        where a.attrelid = to_regclass('biz.sites') and a.attnum > 0 and not a.attisdropped);
begin
    return query execute
        'select s.site_id::bigint, '
        || case when 'name' = any(v_columns) then 'nullif(btrim(s.name::text), '''')' else 'null::text' end || ', '
        || case when 'timezone' = any(v_columns)
            then 'coalesce(nullif(btrim(s.timezone::text), ''''), biz.ai_timezone())' else 'biz.ai_timezone()' end || ', '
        || case when 'is_active' = any(v_columns) then 's.is_active::text::boolean is true' else 'true' end
        || ' from biz.sites s' || case when p_site is not null then ' where s.site_id = $1' else '' end
        using p_site;
end $$;

-- A site's time zone. Raises AI001 where the site or its zone is unknown.
create or replace function biz.ai_site_zone(p_site bigint) returns text language plpgsql stable as $$
declare
    v_zone text;
begin
    begin
        select s.timezone into v_zone from biz.ai_sites(p_site) s limit 1;
    exception when undefined_table or undefined_column or insufficient_privilege then
        raise exception 'biz.sites cannot be read: %', sqlerrm
            || case when sqlstate = '42501' then '; run `ai-assets db roles` again' else '' end using errcode = 'AI001';
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

-- The latest business date that a batch of this site may have: the site's tomorrow, by the database's clock.
create or replace function biz.ai_latest_batch_date(p_site bigint) returns date language plpgsql stable as $$
begin
    return (clock_timestamp() at time zone biz.ai_site_zone(p_site))::date + 1;
exception when sqlstate 'AI001' then
    -- no such site or no such time zone: the site's events fail with that reason
    return (clock_timestamp() at time zone biz.ai_timezone())::date + 1;
end $$;

-- One event for all active sites becomes an event for each; the row of the former lists the trigger jobs.
create or replace function biz.ai_fire_prewarm(p_site bigint, p_payload jsonb, p_forced boolean, p_source text)
returns bigint language plpgsql as $$
declare
    v_site   bigint;
    v_jobs   jsonb := '[]';
    v_ids    bigint[] := '{}';
    v_failed integer;
    v_id     bigint;
begin
    begin
        for v_site in select distinct s.site_id from biz.ai_sites() s where s.is_active order by 1 loop
            v_id := biz.fire_ai_event('dws_completed', v_site, null, p_payload, p_forced, p_source);
            v_ids := v_ids || v_id;
            v_jobs := v_jobs || jsonb_build_object('site_id', v_site, 'trigger_job_id', v_id);
        end loop;
    exception when undefined_table or undefined_column or insufficient_privilege then
        raise exception 'biz.sites cannot be read: %', sqlerrm
            || case when sqlstate = '42501' then '; run `ai-assets db roles` again' else '' end using errcode = 'AI001';
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
