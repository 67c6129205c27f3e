-- Admission as before; a refused call keeps the sentence that says why, and the time that it took.

-- Why the guard refuses a call, for operators, in at most 500 characters. p_cooldown: DashScope throttles the app.
-- p_wait_s: seconds until a place in the rate comes free.
create function biz.ai_refusal(
    p_reason text, p_app text, p_site bigint, p_target text, p_breaker biz.ai_breakers, p_cooldown boolean,
    p_wait_s double precision, p_estimate bigint
) returns text language sql stable as $$
    select left(case
        when p_reason = 'circuit_open' then format(
            'circuit_open: %s was not called: its breaker is open (%s), %s', w.of_call,
            coalesce(p_breaker.reason, 'its app failed too often'),
            case when p_breaker.open_until is null then 'probes are under way'
                when not isfinite(p_breaker.open_until) then 'until it is closed (`ai-assets guard close`)'
                else to_char(p_breaker.open_until at time zone 'UTC', '"until" YYYY-MM-DD HH24:MI:SS "UTC, then probes"')
            end)
        when p_reason = 'rate_limited' then format(
            'rate_limited: %s %s; the next comes in %s s, more than it may wait%s', w.of_call,
            case when p_cooldown then 'was not called: DashScope throttles this app' else 'found no free place in the rate' end,
            round(p_wait_s), case when p_cooldown then '' else ' (AI_RATE_PER_MINUTE)' end)
        else format(
            '%s: %s may need %s tokens, more than the budget has left (%s)', p_reason, w.of_call,
            biz.ai_tokens(p_estimate),
            (select b.setting from biz.ai_budgets_of(p_site, '', '', null) b
                where b.name = split_part(p_reason, ':', 2)))
        end, 500)
    from (select format('%s of site %s (%s)', p_app, p_site, p_target) as of_call) w
$$;

drop function biz.ai_admit(text, bigint, text, bigint, bigint, text, text, text, boolean, boolean, bigint, timestamptz,
    bigint, double precision, double precision, jsonb);
-- Admission: one round trip says admitted, reuse, in_flight, wait, refused or again.
-- Lock order everywhere: clock, target lease, breaker, site rate, budgets (see ai_budgets_of), alerts. Hot rows last.
-- PL/pgSQL, not one statement: each statement here sees what was committed before it took its lock.
create function biz.ai_admit(
    p_app text, p_site bigint, p_target text, p_member bigint, p_job bigint, p_trigger text,
    p_prompt text, p_hash text, p_forced boolean, p_batch boolean,
    -- of a call that has waited: its row in the run log, its turn and its ticket in the queue; else null
    p_pending bigint, p_turn timestamptz, p_ticket bigint,
    -- seconds it may still wait; seconds until its lease ends; seconds that it has waited
    p_wait_s double precision, p_lease_s double precision, p_waited_s double precision, p_limits jsonb,
    out verdict text, out reason text, out run_log_id bigint, out lease_id bigint, out cache_id bigint,
    out retry_after_s double precision, out estimate bigint, out turn_at timestamptz, out ticket bigint,
    -- of a refusal: its sentence, and whether the breaker stays open until somebody closes it
    out message text, out until_closed boolean
) language plpgsql as $$
declare
    v_now     timestamptz;
    v_seen    timestamptz;
    v_zone    text;
    v_expired boolean;
    v_day     text;
    v_month   text;
    v_breaker biz.ai_breakers;
    v_after   biz.ai_breakers;
    v_probe   boolean := false;
    v_mine    record;
    v_broken  text;
begin
    turn_at := p_turn;
    ticket := p_ticket;
    v_now := biz.ai_now();
    select (select s.value from biz.ai_settings s where s.name = 'timezone'),
            (select c.seen_at from biz.ai_clock c),
            exists (select from biz.ai_leases l where l.expires_at < v_now)
        into v_zone, v_seen, v_expired;
    -- most admissions need no more than this: the clock was looked at a moment ago
    if (v_now between v_seen and v_seen + interval '2 s') is not true and biz.ai_follow_clock() is not null then
        run_log_id := p_pending;
        verdict := 'again';
        return;
    end if;
    if v_expired and biz.ai_reap_expired() > 0 then
        run_log_id := p_pending;
        verdict := 'again';
        return;
    end if;
    v_zone := coalesce(v_zone, biz.ai_timezone());
    v_day := 'day:' || to_char(v_now at time zone v_zone, 'YYYY-MM-DD');
    v_month := 'month:' || to_char(v_now at time zone v_zone, 'YYYY-MM');
    -- never later than that of a call that comes now: the clock may have been set back since it was given
    turn_at := least(p_turn, case when p_batch
        then v_now + make_interval(secs => (p_limits ->> 'batch_admission_wait_s')::double precision / 2) else v_now end);

    -- 1. the target: one call of it at a time
    insert into biz.ai_leases (app_type, site_id, target_id, day, month, expires_at)
        values (p_app, p_site, p_target, v_day, v_month, v_now + make_interval(secs => p_lease_s))
        on conflict (app_type, site_id, target_id) do nothing
        returning id into lease_id;
    if lease_id is null then
        run_log_id := p_pending;
        verdict := 'in_flight';
        select extract(epoch from l.expires_at - v_now) into retry_after_s from biz.ai_leases l
            where l.app_type = p_app and l.site_id = p_site and l.target_id = p_target;
        retry_after_s := greatest(0, coalesce(retry_after_s, 0));
        return;
    end if;

    -- 2. the cache again: while this lease is held, no other call can make the answer
    if not p_forced then
        select c.id into cache_id from biz.ai_cache_latest c
            where c.cache_type = p_limits ->> 'cache_type' and c.site_id = p_site and c.target_id = p_target
              and c.prompt_hash = p_hash;
        if cache_id is not null then
            delete from biz.ai_leases l where l.id = lease_id;
            delete from biz.ai_run_logs g where g.id = p_pending and g.status = 'pending';
            perform biz.ai_rate_leave(p_site, turn_at, p_ticket);
            lease_id := null;
            verdict := 'reuse';
            return;
        end if;
    end if;

    -- before the hot rows, since a wide row takes longer to write. A call that waited gets its id now.
    delete from biz.ai_run_logs g where g.id = p_pending and g.status = 'pending';
    insert into biz.ai_run_logs (trigger_job_id, app_type, site_id, member_id, target_id, trigger_type,
            status, request_prompt, prompt_hash)
        values (p_job, p_app, p_site, p_member, p_target, p_trigger, 'running', p_prompt, p_hash)
        returning id into run_log_id;

    -- 3. the breaker; a closed one is only read, so that callers do not wait for each other
    select * into v_breaker from biz.ai_breakers b where b.app_type = p_app;
    if not found then
        insert into biz.ai_breakers (app_type) values (p_app) on conflict do nothing;
        select * into v_breaker from biz.ai_breakers b where b.app_type = p_app;
    end if;
    if v_breaker.state <> 'closed' then
        select * into v_breaker from biz.ai_breakers b where b.app_type = p_app for update;
        v_after := biz.ai_breaker_after(v_breaker, 'asked', null, null, biz.ai_now(), p_limits);
        perform biz.ai_keep_breaker(v_breaker, v_after);
        v_breaker := v_after;
        v_probe := v_breaker.state = 'half_open' and v_breaker.probes_passed + (
            select count(*) from biz.ai_leases l
                where l.app_type = p_app and l.epoch = v_breaker.epoch and l.is_probe
        ) < (p_limits ->> 'breaker_probes')::integer;
        if v_breaker.state <> 'closed' and not v_probe then
            verdict := 'refused';
            reason := 'circuit_open';
            until_closed := coalesce(not isfinite(v_breaker.open_until), false);
        end if;
    end if;

    -- before the locks of the rate and the budgets
    estimate := biz.ai_estimate(
        p_app, length(p_prompt), (p_limits ->> 'model_max_tokens')::bigint);

    -- 4. a cooldown that DashScope asked for, and the rate; who waits for a cooldown holds up nobody in the queue
    if verdict is null then
        retry_after_s := extract(epoch from v_breaker.cooldown_until - biz.ai_now());
        if retry_after_s is null or retry_after_s <= 0 then
            select * into v_mine from biz.ai_rate_turn(p_site, p_batch, turn_at, p_wait_s, p_limits, ticket);
            retry_after_s := v_mine.wait_s;
            ticket := v_mine.p_ticket;
        end if;
        if retry_after_s > 0 then
            verdict := case when retry_after_s <= p_wait_s then 'wait' else 'refused' end;
            reason := 'rate_limited';
        end if;
    end if;

    -- 5. the budgets
    if verdict is null then
        v_broken := biz.ai_reserve_tokens(p_app, p_site, v_day, v_month, estimate, p_limits);
        if v_broken is not null then
            verdict := 'refused';
            reason := 'budget_exceeded:' || v_broken;
        end if;
    end if;

    -- a ticket is kept only by who goes on waiting for the rate
    if ticket is not null and (verdict is distinct from 'wait' or v_mine is null) then
        perform biz.ai_rate_leave(p_site, turn_at, ticket);
        ticket := null;
    end if;
    if verdict = 'refused' then
        message := biz.ai_refusal(reason, p_app, p_site, p_target, v_breaker, v_mine is null, retry_after_s, estimate);
    end if;
    if verdict is not null then
        update biz.ai_run_logs g
            set status = case verdict when 'wait' then 'pending' else 'refused' end,
                reason = ai_admit.reason,
                error_message = message,
                latency_ms = case verdict when 'refused' then round(
                    1000 * (p_waited_s + extract(epoch from clock_timestamp() - statement_timestamp()))) end,
                finished_at = case verdict when 'wait' then null else clock_timestamp() end
            where g.id = run_log_id;
        delete from biz.ai_leases l where l.id = lease_id;
        lease_id := null;
        return;
    end if;

    -- the call begins now, however long this waited for a lock
    update biz.ai_leases l
        set run_log_id = ai_admit.run_log_id, reserved_tokens = estimate, is_probe = v_probe,
            epoch = v_breaker.epoch, admitted_at = biz.ai_now(),
            expires_at = biz.ai_now() + make_interval(secs => p_lease_s)
        where l.id = lease_id;
    perform biz.ai_rate_take(p_site, p_batch);
    verdict := 'admitted';
end $$;
