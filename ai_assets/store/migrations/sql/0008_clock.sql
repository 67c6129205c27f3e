-- The database's clock: one function to read it, and what happens when it is set.

-- The clock of leases, rates and breakers. A test replaces it to move time.
create function biz.ai_now() returns timestamptz language sql volatile as $$ select clock_timestamp() $$;

-- When the clock was last looked at. One row; the first look makes it.
create table biz.ai_clock (
    only_row boolean primary key default true check (only_row),
    seen_at  timestamptz not null
);

-- Follow a clock that was set (failover, restored machine, correction). Returns the step that was corrected, or null.
-- Call it first in a transaction, and as often as leases are renewed or expired: heartbeats, sensors and admissions do.
-- SQL has no monotonic clock, but one of these callers looks every few seconds while anything works. So:
--   The clock is behind the last look by more than 15 s: it was set back. All that the guard and the job leases
--   remember moves back with it.
--   It is ahead of the last look by more than 15 s: it was set forward, or nobody looked, because all processes or
--   Postgres stood still. Either way that time does not count: leases and heartbeats that were valid at the last look
--   are extended by what exceeds 15 s. A lease whose holder died then ends a little later, never sooner.
-- The clock's row is locked before all others. Who only notes the time does not wait for it.
create function biz.ai_follow_clock() returns interval language plpgsql as $$
declare
    c_longest constant interval := interval '15 s';
    v_now  timestamptz := biz.ai_now();
    v_seen timestamptz;
    v_step interval;
begin
    select c.seen_at into v_seen from biz.ai_clock c;
    if v_now between v_seen and v_seen + interval '2 s' then
        return null;
    end if;
    if v_now between v_seen - c_longest and v_seen + c_longest then
        update biz.ai_clock c set seen_at = v_now
            from (select k.only_row from biz.ai_clock k where k.seen_at < v_now for update skip locked) free
            where c.only_row = free.only_row;
        return null;
    end if;

    insert into biz.ai_clock (seen_at) values (v_now) on conflict do nothing;
    if found then
        return null;
    end if;
    select c.seen_at into v_seen from biz.ai_clock c for update;
    v_now := biz.ai_now();
    if v_now between v_seen - c_longest and v_seen + c_longest then
        -- another caller corrected this step while we waited
        return null;
    end if;
    update biz.ai_clock c set seen_at = v_now;
    if v_now > v_seen then
        v_step := v_now - v_seen - c_longest;
        perform biz.ai_extend_leases(v_seen, v_step);
    else
        v_step := v_now - v_seen;
        perform biz.ai_move_times(v_step);
    end if;
    raise log 'ai_assets: the clock moved by %, leases were moved by %', v_now - v_seen, v_step;
    return v_step;
end $$;

-- Extend the leases that were valid at p_seen. A row that is locked is being renewed or ended: it is passed over.
create function biz.ai_extend_leases(p_seen timestamptz, p_by interval) returns void language plpgsql as $$
begin
    update biz.ai_leases l set expires_at = l.expires_at + p_by
        from (select k.id from biz.ai_leases k where k.expires_at > p_seen for update skip locked) free
        where l.id = free.id;
    update biz.ai_trigger_jobs j set lease_until = j.lease_until + p_by
        from (select k.id from biz.ai_trigger_jobs k
            where k.status = 'running' and k.lease_until > p_seen for no key update skip locked) free
        where j.id = free.id;
    update biz.ai_workers w set heartbeat_at = w.heartbeat_at + p_by
        from (select k.id from biz.ai_workers k
            where k.heartbeat_at + make_interval(secs => k.lease_s) > p_seen for update skip locked) free
        where w.id = free.id;
end $$;

-- Move all remembered times by p_by, which is negative. Locks as everywhere: leases, breakers, rates.
create function biz.ai_move_times(p_by interval) returns void language plpgsql as $$
declare
    v_now timestamptz := biz.ai_now();
begin
    update biz.ai_leases l set admitted_at = l.admitted_at + p_by, expires_at = l.expires_at + p_by
        from (select k.id from biz.ai_leases k for update skip locked) free
        where l.id = free.id;
    update biz.ai_trigger_jobs j
        set lease_until = j.lease_until + p_by,
            not_before = case when j.not_before > v_now then j.not_before + p_by else j.not_before end
        from (select k.id from biz.ai_trigger_jobs k
            where k.status = 'running' or (k.status = 'pending' and k.not_before > v_now)
            for no key update skip locked) free
        where j.id = free.id;
    update biz.ai_workers w set heartbeat_at = w.heartbeat_at + p_by
        from (select k.id from biz.ai_workers k where k.heartbeat_at > v_now for update skip locked) free
        where w.id = free.id;
    perform from biz.ai_breakers b order by b.app_type for update;
    update biz.ai_breakers b
        set changed_at = b.changed_at + p_by, open_until = b.open_until + p_by,
            cooldown_until = b.cooldown_until + p_by
        where b.changed_at > v_now or b.open_until > v_now or b.cooldown_until > v_now;
    delete from biz.ai_breaker_outcomes o where o.bucket > v_now;
    perform from biz.ai_rate_limits r order by r.site_id for update;
    update biz.ai_rate_places p set taken_at = p.taken_at + p_by where p.taken_at > v_now;
    -- who waits takes a new ticket at its next look, with the turn that it has
    delete from biz.ai_rate_queue;
end $$;
