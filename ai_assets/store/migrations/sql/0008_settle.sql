-- Settling: records what a call used for its lease, its app's breaker and its budgets. Last in the transaction that
-- writes the result. Same lock order as admission. Before: a cooldown had no bound.

-- p_effect: passed | counts | neutral | opens | hard_stop | cooldown. p_tokens null: charged at the estimate.
-- settled false: the lease was taken over, and the caller must write nothing. opened: apps now blocked.
create or replace function biz.ai_settle(
    p_lease bigint, p_effect text, p_reason text, p_tokens bigint, p_cooldown_s double precision,
    p_apps text[], p_limits jsonb,
    out settled boolean, out charged bigint, out opened text[]
) language plpgsql as $$
declare
    v_lease   biz.ai_leases;
    v_breaker biz.ai_breakers;
    v_event   text;
    v_now     timestamptz;
begin
    opened := '{}';
    delete from biz.ai_leases l where l.id = p_lease returning * into v_lease;
    settled := found;
    if not settled then
        return;
    end if;
    charged := coalesce(p_tokens, v_lease.reserved_tokens);

    if p_effect = 'hard_stop' then
        insert into biz.ai_breakers (app_type) select unnest(p_apps) order by 1 on conflict do nothing;
        -- all of them first, in one order; a late result of an earlier epoch changes none
        perform from biz.ai_breakers b order by b.app_type for update;
        perform from biz.ai_breakers b where b.app_type = v_lease.app_type and b.epoch = v_lease.epoch;
        if found then
            v_now := biz.ai_now();
            for v_breaker in select * from biz.ai_breakers b order by b.app_type loop
                if biz.ai_keep_breaker(v_breaker,
                    biz.ai_breaker_after(v_breaker, 'blocked', null, p_reason, v_now, p_limits))
                then
                    opened := opened || v_breaker.app_type;
                end if;
            end loop;
        end if;
    elsif p_effect in ('counts', 'opens') or (p_effect = 'passed' and v_lease.is_probe) then
        select * into v_breaker from biz.ai_breakers b where b.app_type = v_lease.app_type for update;
        v_event := case p_effect when 'opens' then 'blocked' when 'passed' then 'passed'
            -- one failure of a probe is enough; a closed breaker looks at the share over its window
            else case when v_breaker.epoch = v_lease.epoch and (v_breaker.state <> 'closed'
                    or biz.ai_count_outcome(v_lease.app_type, v_lease.epoch, false, p_limits))
                then 'tripped' end end;
        if v_event is not null and biz.ai_keep_breaker(v_breaker, biz.ai_breaker_after(
            v_breaker, v_event, v_lease.epoch, p_reason, biz.ai_now(), p_limits))
        then
            opened := array[v_lease.app_type];
        end if;
    elsif p_effect = 'passed' then
        perform from biz.ai_breakers b
            where b.app_type = v_lease.app_type and b.epoch = v_lease.epoch and b.state = 'closed';
        if found then
            perform biz.ai_count_outcome(v_lease.app_type, v_lease.epoch, true, p_limits);
        end if;
    elsif p_effect = 'cooldown' then
        update biz.ai_breakers b
            -- bounded: a Retry-After of a day must not stop an app for a day
            set cooldown_until = greatest(b.cooldown_until,
                biz.ai_now() + make_interval(secs => least(
                    coalesce(p_cooldown_s, 5), (p_limits ->> 'breaker_open_max_s')::double precision)))
            where b.app_type = v_lease.app_type;
    end if;

    perform biz.ai_settle_tokens(v_lease.site_id, v_lease.day, v_lease.month,
        charged, v_lease.reserved_tokens, p_limits);
end $$;
