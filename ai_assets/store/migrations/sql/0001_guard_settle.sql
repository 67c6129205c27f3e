-- Settling: what a call came to, for its lease, its app's breaker and its budgets. Last in the transaction
-- that writes the result. Same lock order as admission.

create function biz.ai_open_breaker(p_app text, p_reason text, p_limits jsonb, p_relapse boolean)
returns void language plpgsql as $$
begin
    update biz.ai_breakers b
        set state = 'open', epoch = b.epoch + 1, probes_passed = 0, reason = p_reason,
            relapses = b.relapses + p_relapse::integer, changed_at = clock_timestamp(),
            open_until = clock_timestamp() + make_interval(secs => least(
                (p_limits ->> 'breaker_open_max_s')::double precision,
                (p_limits ->> 'breaker_open_s')::double precision
                    * 2 ^ least(30, b.relapses + p_relapse::integer)))
        where b.app_type = p_app;
    delete from biz.ai_breaker_outcomes o where o.app_type = p_app;
end $$;

-- Count one outcome of a closed breaker; returns whether the failure share now opens it.
create function biz.ai_count_outcome(p_app text, p_epoch bigint, p_passed boolean, p_limits jsonb)
returns boolean language plpgsql as $$
declare
    v_window double precision := (p_limits ->> 'breaker_window_s')::double precision;
    v_now    timestamptz := clock_timestamp();
    v_total  bigint;
    v_failed bigint;
begin
    insert into biz.ai_breaker_outcomes as o (app_type, epoch, bucket, passed, failed)
        values (p_app, p_epoch, to_timestamp(floor(extract(epoch from v_now) / (v_window / 10)) * (v_window / 10)),
                p_passed::integer, (not p_passed)::integer)
        on conflict (app_type, epoch, bucket) do update
            set passed = o.passed + excluded.passed, failed = o.failed + excluded.failed;
    if p_passed then
        return false;
    end if;
    delete from biz.ai_breaker_outcomes o
        where o.app_type = p_app and o.bucket <= v_now - make_interval(secs => v_window);
    select sum(o.passed + o.failed), sum(o.failed) into v_total, v_failed
        from biz.ai_breaker_outcomes o where o.app_type = p_app and o.epoch = p_epoch;
    return v_total >= (p_limits ->> 'breaker_min_calls')::bigint
        and v_failed >= v_total * (p_limits ->> 'breaker_failure_share')::numeric;
end $$;

-- p_effect: passed | counts | neutral | opens | hard_stop | cooldown. p_tokens null: charged at the estimate.
-- settled false: the lease was taken over, and the caller must write nothing. opened: apps now blocked.
create function biz.ai_settle(
    p_lease bigint, p_effect text, p_reason text, p_tokens bigint, p_cooldown_s double precision,
    p_apps text[], p_limits jsonb,
    out settled boolean, out charged bigint, out opened text[]
) language plpgsql as $$
declare
    v_lease   biz.ai_leases;
    v_breaker biz.ai_breakers;
    v_app     text;
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
            for v_breaker in select * from biz.ai_breakers b order by b.app_type loop
                if v_breaker.state <> 'open' then
                    opened := opened || v_breaker.app_type;
                end if;
                -- what the probe met counts for every app that was about to be probed
                perform biz.ai_open_breaker(v_breaker.app_type, p_reason, p_limits,
                    v_breaker.state = 'half_open'
                    or (v_breaker.state = 'open' and v_breaker.open_until <= clock_timestamp()));
            end loop;
        end if;
    elsif p_effect in ('counts', 'opens') or (p_effect = 'passed' and v_lease.is_probe) then
        select * into v_breaker from biz.ai_breakers b where b.app_type = v_lease.app_type for update;
        if v_breaker.epoch = v_lease.epoch then
            if p_effect = 'opens' or (p_effect = 'counts' and v_breaker.state = 'half_open') then
                perform biz.ai_open_breaker(v_lease.app_type, p_reason, p_limits,
                    v_breaker.state = 'half_open');
                opened := array[v_lease.app_type];
            elsif p_effect = 'counts' then
                if biz.ai_count_outcome(v_lease.app_type, v_lease.epoch, false, p_limits) then
                    perform biz.ai_open_breaker(v_lease.app_type, p_reason, p_limits, false);
                    opened := array[v_lease.app_type];
                end if;
            elsif v_breaker.probes_passed + 1 >= (p_limits ->> 'breaker_probes')::integer then
                update biz.ai_breakers b
                    set state = 'closed', epoch = b.epoch + 1, relapses = 0, probes_passed = 0,
                        open_until = null, reason = null, changed_at = clock_timestamp()
                    where b.app_type = v_lease.app_type;
            else
                update biz.ai_breakers b set probes_passed = b.probes_passed + 1
                    where b.app_type = v_lease.app_type;
            end if;
        end if;
    elsif p_effect = 'passed' then
        perform from biz.ai_breakers b
            where b.app_type = v_lease.app_type and b.epoch = v_lease.epoch and b.state = 'closed';
        if found then
            perform biz.ai_count_outcome(v_lease.app_type, v_lease.epoch, true, p_limits);
        end if;
    elsif p_effect = 'cooldown' then
        update biz.ai_breakers b
            set cooldown_until = greatest(b.cooldown_until,
                clock_timestamp() + make_interval(secs => coalesce(p_cooldown_s, 5)))
            where b.app_type = v_lease.app_type;
    end if;

    perform biz.ai_book_tokens(v_lease.site_id, v_lease.day, v_lease.month,
        charged, -v_lease.reserved_tokens);
end $$;
