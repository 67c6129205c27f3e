-- Leases whose holder died: settled by the next comer, outcome unknown, charged at their estimate.

create or replace function biz.ai_reap_leases(p_leases bigint[]) returns integer language plpgsql as $$
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

    -- several at once only in one lock order over all of them
    for v_key in
        select distinct k.turn, k.scope, k.period
            from unnest(v_leases) l
            cross join lateral biz.ai_budgets_of(l.site_id, l.day, l.month, null) k
            order by k.turn, k.scope, k.period
    loop
        insert into biz.ai_budgets (scope, period) values (v_key.scope, v_key.period) on conflict do nothing;
        perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
    end loop;
    -- their rows are locked by now, so that the order within this loop is no matter
    foreach v_lease in array v_leases loop
        perform biz.ai_settle_tokens(v_lease.site_id, v_lease.day, v_lease.month,
            v_lease.reserved_tokens, v_lease.reserved_tokens, null);
    end loop;
    return cardinality(v_leases);
end $$;

-- Settle up to 100 leases that ended; returns how many. One that another is settling at this moment is left to it.
drop function biz.ai_reap_one();
create function biz.ai_reap_expired() returns integer language plpgsql as $$
declare
    v_leases bigint[];
begin
    select array_agg(e.id) into v_leases from (
        select l.id from biz.ai_leases l where l.expires_at < clock_timestamp()
            order by l.expires_at limit 100 for update skip locked) e;
    return case when v_leases is null then 0 else biz.ai_reap_leases(v_leases) end;
end $$;
