-- Trigger jobs of type manual: work that a person queued, in any number, behind the live events.

create index ai_trigger_jobs_manual_queue on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and event_type = 'manual';

-- As before, and a job of type manual is queued again as it was: no event could send it. Its new row carries no
-- business date either, so its prompts are as of the site's newest batch.
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
            app_chain, replay_of)
        values (v_job.event_type, v_job.site_id, v_job.member_id, v_job.connector_type, v_job.payload, p_forced,
            v_job.app_chain, p_job)
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
        returning case when j.status in ('duplicate', 'failed') then j.status else 'replayed' end into outcome;
end $$;
