-- Admission: one round trip says admitted, reuse, in_flight, wait, refused or again.
-- Lock order everywhere: target lease, breaker, site rate, budgets (site day, month, day). Hot rows last.
-- PL/pgSQL, not one statement: each statement here sees what was committed before it took its lock.

-- Budget rows of a call, locked in the one order; made where missing.
create function biz.ai_lock_budgets(p_site bigint, p_day text, p_month text) returns void
language plpgsql as $$
declare
    v_key record;
begin
    for v_key in
        select * from (values (1, 'site:' || p_site, p_day), (2, 'all', p_month), (3, 'all', p_day))
            as k (turn, scope, period) order by turn
    loop
        perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
        if not found then
            insert into biz.ai_budgets (scope, period) values (v_key.scope, v_key.period)
                on conflict do nothing;
            perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
        end if;
    end loop;
end $$;

-- Add to what is used and reserved of a call's three budgets; their rows are locked by this or before.
create function biz.ai_book_tokens(p_site bigint, p_day text, p_month text, p_used bigint, p_reserved bigint)
returns void language plpgsql as $$
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    update biz.ai_budgets b
        set used = b.used + p_used, reserved = greatest(0, b.reserved + p_reserved),
            updated_at = clock_timestamp()
        where (b.scope, b.period) in (('site:' || p_site, p_day), ('all', p_month), ('all', p_day));
end $$;

-- Which budget a call would break ('day', 'month', 'site_day'), or null. Locks the rows.
create function biz.ai_broken_budget(p_site bigint, p_day text, p_month text, p_tokens bigint, p_limits jsonb)
returns text language plpgsql as $$
declare
    v_broken text;
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    select k.name into v_broken
        from (values
            (1, 'day', 'all', p_day, (p_limits ->> 'daily_tokens')::bigint),
            (2, 'month', 'all', p_month, (p_limits ->> 'monthly_tokens')::bigint),
            (3, 'site_day', 'site:' || p_site, p_day, (p_limits ->> 'site_daily_tokens')::bigint)
        ) as k (turn, name, scope, period, tokens)
        join biz.ai_budgets b on b.scope = k.scope and b.period = k.period
        where k.tokens is not null and b.used + b.reserved + p_tokens > k.tokens
        order by k.turn
        limit 1;
    return v_broken;
end $$;

-- Seconds until a site's rate has a free place, 0 where it has one now. Locks the site's row.
create function biz.ai_rate_wait(p_site bigint, p_batch boolean, p_limits jsonb) returns double precision
language plpgsql as $$
declare
    v_rate   biz.ai_rate_limits;
    v_places integer := (p_limits ->> 'rate_per_minute')::integer;
    v_share  integer := greatest(1, floor(v_places * (p_limits ->> 'batch_rate_share')::numeric)::integer);
    v_now    timestamptz;
    v_free   timestamptz;
begin
    select * into v_rate from biz.ai_rate_limits r where r.site_id = p_site for update;
    if not found then
        insert into biz.ai_rate_limits (site_id) values (p_site) on conflict do nothing;
        select * into v_rate from biz.ai_rate_limits r where r.site_id = p_site for update;
    end if;
    v_now := clock_timestamp();
    select max(w.free_at) into v_free from (
        -- never more than the rate in any 60 s
        select p.taken_at + interval '60 s' as free_at from biz.ai_rate_places p
            where p.site_id = p_site and p.place = v_rate.last_place + 1 - v_places
        union all
        -- at most a fifth of it at one instant, taken as one second
        select p.taken_at + interval '1 s' from biz.ai_rate_places p
            where p.site_id = p_site and p.place = v_rate.last_place + 1 - greatest(1, v_places / 5)
        union all
        -- batches leave the rest of the rate to live events
        select p.taken_at + interval '60 s' from biz.ai_rate_places p
            where p_batch and p.site_id = p_site and p.batch_place = v_rate.last_batch_place + 1 - v_share
    ) w;
    return greatest(0, coalesce(extract(epoch from v_free - v_now), 0));
end $$;

-- Take a place that ai_rate_wait found free, in the same transaction.
create function biz.ai_rate_take(p_site bigint, p_batch boolean) returns void language plpgsql as $$
declare
    v_rate  biz.ai_rate_limits;
    v_swept bigint;
begin
    update biz.ai_rate_limits r
        set last_place = r.last_place + 1, last_batch_place = r.last_batch_place + p_batch::integer
        where r.site_id = p_site
        returning * into v_rate;
    insert into biz.ai_rate_places (site_id, place, batch_place, taken_at)
        values (p_site, v_rate.last_place, case when p_batch then v_rate.last_batch_place end,
                clock_timestamp());
    -- two old places go for each one taken, so that they never pile up; the number where the last sweep ended
    -- saves a walk over the index entries of those that are gone
    with oldest as (
        select p.place, p.taken_at from biz.ai_rate_places p
            where p.site_id = p_site and p.place > v_rate.swept_place
            order by p.place limit 2),
    gone as (
        delete from biz.ai_rate_places p using oldest o
            where p.site_id = p_site and p.place = o.place
              and o.taken_at < clock_timestamp() - interval '61 s'
            returning p.place)
    select max(g.place) into v_swept from gone g;
    if v_swept is not null then
        update biz.ai_rate_limits r set swept_place = v_swept where r.site_id = p_site;
    end if;
end $$;

-- A place for one more HTTP attempt of an admitted call: seconds to wait, 0 where it was taken.
create function biz.ai_take_place(p_site bigint, p_batch boolean, p_limits jsonb) returns double precision
language plpgsql as $$
declare
    v_wait double precision := biz.ai_rate_wait(p_site, p_batch, p_limits);
begin
    if v_wait = 0 then
        perform biz.ai_rate_take(p_site, p_batch);
    end if;
    return v_wait;
end $$;

-- Settle one lease whose holder died: outcome unknown, charged at its estimate. One a transaction, so that
-- the budgets' lock order holds. Returns whether there was one.
create function biz.ai_reap_one() returns boolean language plpgsql as $$
declare
    v_lease biz.ai_leases;
begin
    delete from biz.ai_leases l where l.id = (
        select d.id from biz.ai_leases d where d.expires_at < clock_timestamp()
            order by d.expires_at limit 1 for update skip locked)
        returning * into v_lease;
    if not found then
        return false;
    end if;
    update biz.ai_run_logs g
        set status = 'failed', reason = 'outcome_unknown', tokens_used = v_lease.reserved_tokens,
            tokens_estimated = true, finished_at = clock_timestamp()
        where g.id = v_lease.run_log_id and g.status in ('pending', 'running');
    perform biz.ai_book_tokens(v_lease.site_id, v_lease.day, v_lease.month,
        v_lease.reserved_tokens, -v_lease.reserved_tokens);
    return true;
end $$;

create function biz.ai_admit(
    p_app text, p_site bigint, p_target text, p_member bigint, p_job bigint, p_trigger text,
    p_prompt text, p_hash text, p_forced boolean, p_batch boolean,
    -- the row of a call that has waited, or null; seconds it may still wait; seconds until its lease ends
    p_pending bigint, p_wait_s double precision, p_lease_s double precision, p_limits jsonb,
    out verdict text, out reason text, out run_log_id bigint, out lease_id bigint, out cache_id bigint,
    out retry_after_s double precision, out estimate bigint
) language plpgsql as $$
declare
    v_now     timestamptz := clock_timestamp();
    v_day     text := 'day:' || to_char(v_now at time zone (p_limits ->> 'timezone'), 'YYYY-MM-DD');
    v_month   text := 'month:' || to_char(v_now at time zone (p_limits ->> 'timezone'), 'YYYY-MM');
    v_probes  integer := (p_limits ->> 'breaker_probes')::integer;
    v_breaker biz.ai_breakers;
    v_probe   boolean := false;
    v_broken  text;
begin
    if exists (select from biz.ai_leases l where l.expires_at < v_now) and biz.ai_reap_one() then
        verdict := 'again';
        return;
    end if;

    -- 1. the target: one call of it at a time
    insert into biz.ai_leases (app_type, site_id, target_id, day, month, expires_at)
        values (p_app, p_site, p_target, v_day, v_month, v_now + make_interval(secs => p_lease_s))
        on conflict (app_type, site_id, target_id) do nothing
        returning id into lease_id;
    if lease_id is null then
        verdict := 'in_flight';
        select extract(epoch from l.expires_at - v_now) into retry_after_s from biz.ai_leases l
            where l.app_type = p_app and l.site_id = p_site and l.target_id = p_target;
        retry_after_s := greatest(0, coalesce(retry_after_s, 0));
        return;
    end if;

    -- 2. the memo again, now that nobody else can be making the answer
    if not p_forced then
        select c.id into cache_id from biz.ai_cache_latest c
            where c.cache_type = p_limits ->> 'cache_type' and c.site_id = p_site and c.target_id = p_target
              and c.prompt_hash = p_hash;
        if cache_id is not null then
            delete from biz.ai_leases l where l.id = lease_id;
            delete from biz.ai_run_logs g where g.id = p_pending and g.status = 'pending';
            lease_id := null;
            verdict := 'reuse';
            return;
        end if;
    end if;

    select coalesce(max(u.tokens_used), length(p_prompt) + 1500) into estimate from (
        select g.tokens_used from biz.ai_run_logs g
            where g.app_type = p_app and g.status = 'success' and not g.tokens_estimated
            order by -g.id limit 20) u;

    -- before the hot rows: a wide row takes its time. A call that waited gets its id now.
    delete from biz.ai_run_logs g where g.id = p_pending and g.status = 'pending';
    insert into biz.ai_run_logs (trigger_job_id, app_type, site_id, member_id, target_id, trigger_type,
            status, request_prompt, prompt_hash)
        values (p_job, p_app, p_site, p_member, p_target, p_trigger, 'running', p_prompt, p_hash)
        returning id into run_log_id;

    -- 3. the breaker
    select * into v_breaker from biz.ai_breakers b where b.app_type = p_app;
    if not found then
        insert into biz.ai_breakers (app_type) values (p_app) on conflict do nothing;
        select * into v_breaker from biz.ai_breakers b where b.app_type = p_app;
    end if;
    if v_breaker.state <> 'closed' then
        select * into v_breaker from biz.ai_breakers b where b.app_type = p_app for update;
        if v_breaker.state = 'open' and v_breaker.open_until <= clock_timestamp() then
            update biz.ai_breakers b
                set state = 'half_open', epoch = b.epoch + 1, probes_passed = 0, changed_at = clock_timestamp()
                where b.app_type = p_app
                returning * into v_breaker;
        end if;
        if v_breaker.state = 'half_open' then
            v_probe := v_breaker.probes_passed + (
                select count(*) from biz.ai_leases l
                    where l.app_type = p_app and l.epoch = v_breaker.epoch and l.is_probe) < v_probes;
        end if;
        if v_breaker.state = 'open' or (v_breaker.state = 'half_open' and not v_probe) then
            verdict := 'refused';
            reason := 'circuit_open';
        end if;
    end if;

    -- 4. the rate, and a cooldown that DashScope asked for
    if verdict is null then
        retry_after_s := greatest(biz.ai_rate_wait(p_site, p_batch, p_limits),
            extract(epoch from v_breaker.cooldown_until - clock_timestamp()), 0);
        if retry_after_s > 0 then
            verdict := case when retry_after_s <= p_wait_s then 'wait' else 'refused' end;
            reason := 'rate_limited';
        end if;
    end if;

    -- 5. the budgets
    if verdict is null then
        v_broken := biz.ai_broken_budget(p_site, v_day, v_month, estimate, p_limits);
        if v_broken is not null then
            verdict := 'refused';
            reason := 'budget_exceeded:' || v_broken;
        end if;
    end if;

    if verdict is not null then
        update biz.ai_run_logs g
            set status = case verdict when 'wait' then 'pending' else 'refused' end,
                reason = ai_admit.reason,
                finished_at = case verdict when 'wait' then null else clock_timestamp() end
            where g.id = run_log_id;
        delete from biz.ai_leases l where l.id = lease_id;
        lease_id := null;
        return;
    end if;

    -- the call begins now, however long this waited for a lock
    update biz.ai_leases l
        set run_log_id = ai_admit.run_log_id, reserved_tokens = estimate, is_probe = v_probe,
            epoch = v_breaker.epoch, admitted_at = clock_timestamp(),
            expires_at = clock_timestamp() + make_interval(secs => p_lease_s)
        where l.id = lease_id;
    perform biz.ai_rate_take(p_site, p_batch);
    perform biz.ai_book_tokens(p_site, v_day, v_month, 0, estimate);
    verdict := 'admitted';
end $$;
