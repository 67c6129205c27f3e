-- What operators do to the ledger: replay, cancel, and let go of what is old.

alter table biz.ai_trigger_jobs
    -- the job that this one was made from by hand; one job has one replay, and that one may have one too
    add column replay_of       bigint references biz.ai_trigger_jobs (id) on delete set null,
    -- somebody wants it stopped, who and why; a job that runs ends when its holder hears of it
    add column cancel_asked_at timestamptz,
    add column cancel_why      text check (length(cancel_why) <= 300);

create unique index ai_trigger_jobs_replay_of on biz.ai_trigger_jobs (replay_of) where replay_of is not null;
-- What a person looks for is rare among what went well.
create index ai_trigger_jobs_ended_badly on biz.ai_trigger_jobs (id) where status in ('failed', 'dead', 'partial');
-- What is old is found by its age.
create index ai_cache_created on biz.ai_cache (created_at);

-- The ids of the cached answers that an answer was built on, as its _references say.
create function biz.ai_built_on(p_result jsonb) returns bigint[] language sql immutable parallel safe as $$
    select coalesce(array_agg((a.value ->> 'cache_id')::bigint), '{}')
    from jsonb_each(case when jsonb_typeof(p_result #> '{_references,answers}') = 'object'
        then p_result #> '{_references,answers}' else '{}' end) a
    where jsonb_typeof(a.value) = 'object' and a.value ->> 'cache_id' ~ '^[0-9]{1,18}$'
$$;
-- Whether an old version is still pointed at, without reading every text.
create index ai_cache_built_on on biz.ai_cache using gin (biz.ai_built_on(result_json))
    where jsonb_typeof(result_json #> '{_references,answers}') = 'object';

-- A job that somebody asked to stop never waits for another attempt, whoever gives it back; what it ended with says
-- who and why. One that is run again later (a re-executed run) begins without that.
create function biz.ai_end_cancelled() returns trigger language plpgsql as $$
begin
    if new.status = 'running' and old.status <> 'running' then
        new.cancel_asked_at := null;
        new.cancel_why := null;
    elsif old.status in ('pending', 'running') and new.status in ('pending', 'partial', 'failed', 'dead') then
        -- what the machinery says of an attempt that was given back is beside the matter
        new.error_message := left(case when new.status in ('partial', 'failed') and old.status = 'running'
            then concat_ws('; ', new.cancel_why, new.error_message) else new.cancel_why end, 500);
        if new.status in ('pending', 'dead') then
            new.status := 'failed';
            new.lease_owner := null;
            new.lease_until := null;
        end if;
        new.finished_at := clock_timestamp();
    end if;
    return new;
end $$;
-- by name before ai_trigger_jobs_release: a cancelled job lets go of its key
create trigger ai_trigger_jobs_cancel before update of status on biz.ai_trigger_jobs
    for each row when (new.cancel_asked_at is not null) execute function biz.ai_end_cancelled();

-- Stop a job: 'cancelled' one that waited, at once; 'asked' one that runs, for it ends when its holder hears of it;
-- else its status, for it has ended, or null: there is no such job.
create function biz.ai_cancel_job(p_job bigint, p_why text) returns text language plpgsql as $$
declare
    v_status text;
begin
    -- claimed or given back in between: look again
    for _ in 1..10 loop
        update biz.ai_trigger_jobs j
            set cancel_asked_at = clock_timestamp(), cancel_why = left(p_why, 300), status = 'failed'
            where j.id = p_job and j.status = 'pending';
        if found then
            return 'cancelled';
        end if;
        update biz.ai_trigger_jobs j
            set cancel_asked_at = coalesce(j.cancel_asked_at, clock_timestamp()),
                cancel_why = coalesce(j.cancel_why, left(p_why, 300))
            where j.id = p_job and j.status = 'running';
        if found then
            return 'asked';
        end if;
        select j.status into v_status from biz.ai_trigger_jobs j where j.id = p_job;
        exit when not found or v_status <> 'pending';
    end loop;
    return v_status;
end $$;

-- Send an ended job's event again, as a job of its own. `outcome`:
--   replayed         taken in: `replay` is the new job
--   duplicate        not run: the same event came again meanwhile, and holds its key; `replay` says of which
--   failed           taken in, and it cannot be run: `replay` says why
--   replayed_before  by `replay`: that one may be replayed
--   payload_lost     its payload was too large or no object, and was not kept
--   pending, running it has not ended;  missing: there is no such job
-- A duplicate is run all the same, and so is a forced one: they take the key. Without p_forced, what has an answer
-- of the same prompt is not called again. The business date stays.
create function biz.ai_replay_job(p_job bigint, p_forced boolean, out outcome text, out replay bigint)
language plpgsql as $$
declare
    v_job     biz.ai_trigger_jobs;
    v_payload jsonb;
begin
    -- one at a time, by hand as they are: two jobs of one key could wait for each other
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
    v_payload := v_job.payload;
    if v_job.status = 'failed' and v_job.attempts = 0
            and (v_payload ? 'dropped_bytes' or v_payload ? 'not_an_object') then
        outcome := 'payload_lost';
        return;
    end if;
    -- it happened when it came; a batch, when it finished
    if v_job.event_type not in ('dws_completed', 'ai_dws_prewarm') and coalesce(btrim(v_payload ->> 'occurred_at'), '') = '' then
        v_payload := v_payload || jsonb_build_object('occurred_at',
            to_char(v_job.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    end if;
    update biz.ai_trigger_jobs j set dedup_key = null where j.id = p_job and j.dedup_key is not null;
    replay := biz.fire_ai_event(v_job.event_type, v_job.site_id, v_job.member_id, v_payload,
        p_forced or v_job.status = 'duplicate', v_job.connector_type);
    update biz.ai_trigger_jobs j set replay_of = p_job, is_forced = p_forced where j.id = replay
        returning case when j.status in ('duplicate', 'failed') then j.status else 'replayed' end into outcome;
end $$;
