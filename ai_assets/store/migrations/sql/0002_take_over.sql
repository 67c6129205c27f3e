-- Taking over what a killed worker left.

-- Settle leases whose holder died: outcome unknown, charged at their estimate; returns how many were there. Several
-- at once only in one lock order over all of them: leases, then all site days, all months, all days. A lease that
-- somebody holds at this moment is being settled by its holder, and is left to it.
create function biz.ai_reap_leases(p_leases bigint[]) returns integer language plpgsql as $$
declare
    v_leases biz.ai_leases[];
    v_lease  biz.ai_leases;
    v_key    record;
begin
    with dead as (
        delete from biz.ai_leases l where l.id in (
            select d.id from biz.ai_leases d where d.id = any(p_leases) order by d.id for update skip locked)
        returning l)
    select coalesce(array_agg(dead.l order by (dead.l).id), '{}') into v_leases from dead;

    update biz.ai_run_logs g
        set status = 'failed', reason = 'outcome_unknown', tokens_used = l.reserved_tokens,
            tokens_estimated = true, finished_at = clock_timestamp()
        from unnest(v_leases) l
        where g.id = l.run_log_id and g.status in ('pending', 'running');

    for v_key in
        select distinct k.turn, k.scope, k.period
            from unnest(v_leases) l
            cross join lateral (values (1, 'site:' || l.site_id, l.day), (2, 'all', l.month), (3, 'all', l.day))
                as k (turn, scope, period)
            order by k.turn, k.scope, k.period
    loop
        insert into biz.ai_budgets (scope, period) values (v_key.scope, v_key.period) on conflict do nothing;
        perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
    end loop;
    -- their rows are locked by now, so that the order within this loop is no matter
    foreach v_lease in array v_leases loop
        perform biz.ai_book_tokens(v_lease.site_id, v_lease.day, v_lease.month,
            v_lease.reserved_tokens, -v_lease.reserved_tokens);
    end loop;
    return cardinality(v_leases);
end $$;

create or replace function biz.ai_reap_one() returns boolean language plpgsql as $$
declare
    v_lease bigint;
begin
    select l.id into v_lease from biz.ai_leases l where l.expires_at < clock_timestamp()
        order by l.expires_at limit 1 for update skip locked;
    return found and biz.ai_reap_leases(array[v_lease]) > 0;
end $$;

-- Members' jobs whose worker gave no sign of life within its lease: pending again after p_wait_s, four times as
-- long with each attempt, or dead after p_max_attempts. What the dead attempt had in flight is settled, so that
-- the next one need not wait for it. Returns the jobs as they are now.
create function biz.ai_take_over_lost(
    p_max_attempts integer, p_wait_s double precision, p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
declare
    v_jobs bigint[];
begin
    select array_agg(l.id) into v_jobs from (
        select j.id from biz.ai_trigger_jobs j
            where j.status = 'running' and j.member_id is not null and j.lease_until < clock_timestamp()
              -- a worker that lives but could not prolong it (a backend's open transaction held the row) has it still
              and not exists (
                select from biz.ai_workers w
                where w.id = j.lease_owner
                  and w.heartbeat_at + make_interval(secs => w.lease_s) >= clock_timestamp())
            order by j.id
            for no key update of j skip locked) l;
    if v_jobs is null then
        return;
    end if;
    update biz.ai_trigger_jobs j
        set status = case when j.attempts >= p_max_attempts then 'dead' else 'pending' end,
            not_before = clock_timestamp() + make_interval(
                secs => least(p_longest_wait_s, p_wait_s * 4 ^ least(30, greatest(0, j.attempts - 1)))),
            error_message = case when j.attempts >= p_max_attempts
                then format('given up after %s attempts: each time its worker was killed or lost Postgres', j.attempts)
                else format('attempt %s was lost: its worker was killed or lost Postgres', j.attempts) end,
            finished_at = case when j.attempts >= p_max_attempts then clock_timestamp() end,
            lease_owner = null, lease_until = null
        where j.id = any(v_jobs);
    perform biz.ai_reap_leases(array(
        select l.id from biz.ai_leases l join biz.ai_run_logs g on g.id = l.run_log_id
            where g.trigger_job_id = any(v_jobs)));
    return query select * from biz.ai_trigger_jobs j where j.id = any(v_jobs) order by j.id;
end $$;
