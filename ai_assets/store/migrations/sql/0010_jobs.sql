-- Leases of trigger jobs: one implementation for the members' jobs (claimed by workers) and the sites' (by site runs).
--
--   pending --claim--> running --finish--> completed | partial | failed
--      ^                  |
--      +---- requeue -----+   asked to stop: the attempt does not count
--      +- requeue_expired +   killed, or lost Postgres: the attempt counts; dead after the last one

alter table biz.ai_trigger_jobs
    -- Runs or workers that began or were to begin on it. Unlike attempts it is never counted back, so it numbers the
    -- Dagster runs of a site's job. 0 in rows of older versions: read greatest(launches, attempts).
    add column launches integer not null default 0;

-- Whether a worker or site run sent a heartbeat within its lease.
create function biz.ai_is_alive(p_worker text) returns boolean language sql stable as $$
    select exists (
        select from biz.ai_workers w
        where w.id = p_worker and w.heartbeat_at + make_interval(secs => w.lease_s) >= clock_timestamp())
$$;

-- Running jobs whose lease expired: the sites' (p_sites), which have no member, or the members'. A holder that is
-- alive keeps its job: it could not renew the lease because somebody's open transaction holds the row.
create function biz.ai_expired_jobs(p_sites boolean) returns setof biz.ai_trigger_jobs language sql stable as $$
    select j.* from biz.ai_trigger_jobs j
    where j.status = 'running' and j.lease_until < clock_timestamp() and (j.member_id is null) = p_sites
      and not biz.ai_is_alive(j.lease_owner)
    order by j.id
$$;

-- Count a lost attempt of each of these jobs, which the caller has locked: pending again after p_wait_s, four times as
-- long with each attempt, or dead after p_max_attempts. Calls that the attempt left in flight are settled, so that the
-- next attempt need not wait for them. Returns the jobs as they are now.
create function biz.ai_lose_attempts(
    p_jobs bigint[], p_why text, p_max_attempts integer, p_wait_s double precision, p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
begin
    update biz.ai_trigger_jobs j
        set status = case when j.attempts >= p_max_attempts then 'dead' else 'pending' end,
            not_before = clock_timestamp() + make_interval(
                secs => least(p_longest_wait_s, p_wait_s * 4 ^ least(30, greatest(0, j.attempts - 1)))),
            error_message = format(
                case when j.attempts >= p_max_attempts then 'given up after %s attempts: %s'
                    else 'attempt %s was lost: %s' end, j.attempts, p_why),
            finished_at = case when j.attempts >= p_max_attempts then clock_timestamp() end,
            lease_owner = null, lease_until = null
        where j.id = any(p_jobs);
    perform biz.ai_reap_leases(array(
        select l.id from biz.ai_leases l join biz.ai_run_logs g on g.id = l.run_log_id
            where g.trigger_job_id = any(p_jobs)));
    return query select * from biz.ai_trigger_jobs j where j.id = any(p_jobs) order by j.id;
end $$;

-- Requeue the jobs whose lease expired; mark them dead after the last attempt. A row that somebody has locked is left
-- to the next call.
create function biz.ai_requeue_expired(
    p_sites boolean, p_max_attempts integer, p_wait_s double precision, p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
declare
    v_jobs bigint[];
begin
    select array_agg(l.id) into v_jobs from (
        select j.id from biz.ai_trigger_jobs j
            -- looked at again once the row is locked: it may have ended in between
            where j.status = 'running' and j.lease_until < clock_timestamp()
              and j.id in (select e.id from biz.ai_expired_jobs(p_sites) e)
            order by j.id
            for no key update of j skip locked) l;
    if v_jobs is not null then
        return query select * from biz.ai_lose_attempts(v_jobs, 'its process was killed or lost Postgres',
            p_max_attempts, p_wait_s, p_longest_wait_s);
    end if;
end $$;
drop function biz.ai_take_over_lost(integer, double precision, double precision);

-- Count a lost attempt of a pending job whose run ended before it claimed the job. p_launches: how many launches the
-- caller knew of; nothing changes where there are more by now, or where somebody has locked the row.
create function biz.ai_lose_start(
    p_job bigint, p_launches integer, p_max_attempts integer, p_wait_s double precision,
    p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
begin
    perform from biz.ai_trigger_jobs j
        where j.id = p_job and j.status = 'pending' and greatest(j.launches, j.attempts) = p_launches
        for no key update skip locked;
    if found then
        update biz.ai_trigger_jobs j set attempts = j.attempts + 1, launches = p_launches + 1 where j.id = p_job;
        return query select * from biz.ai_lose_attempts(array[p_job], 'its run ended before it began',
            p_max_attempts, p_wait_s, p_longest_wait_s);
    end if;
end $$;

-- As before, and counts the launch.
create or replace function biz.ai_claim_head(p_job bigint, p_owner text, p_run_id text, p_lease_s double precision)
returns boolean language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
declare
    v_job record;
begin
    select j.site_id, j.member_id into v_job from biz.ai_trigger_jobs j
        where j.id = p_job and j.status = 'pending' and j.not_before <= clock_timestamp()
        for no key update skip locked;
    if not found then
        return false;
    end if;
    -- An older job of the member may have been committed in between. Two claimers, each with a head of its own of one
    -- member, would wait for each other at the unique index; with several members, until a deadlock.
    if not pg_try_advisory_xact_lock(
            hashtextextended('ai_assets.chain:' || v_job.site_id || ':' || v_job.member_id, 0)) then
        return false;
    end if;
    -- Looked at again: what was seen while walking the queue is older than the locks.
    perform from biz.ai_trigger_jobs j
        where j.status = 'running' and j.site_id = v_job.site_id and j.member_id = v_job.member_id;
    if found then
        return false;
    end if;
    perform from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.site_id = v_job.site_id and j.member_id = v_job.member_id and j.id < p_job;
    if found then
        return false;
    end if;
    begin
        update biz.ai_trigger_jobs j
            set status = 'running', attempts = j.attempts + 1, launches = greatest(j.launches, j.attempts) + 1,
                lease_owner = p_owner, run_id = p_run_id,
                lease_until = clock_timestamp() + make_interval(secs => p_lease_s),
                started_at = coalesce(j.started_at, clock_timestamp()), finished_at = null, error_message = null
            where j.id = p_job;
    exception when unique_violation then
        -- a job of the member that was claimed by its id, at this instant
        return false;
    end;
    return true;
end $$;
