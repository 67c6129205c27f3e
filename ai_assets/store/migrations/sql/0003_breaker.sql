-- The circuit breaker: a pure state machine, where it is kept, and what is recorded of it.

-- who changed it last: the guard itself, or an operator by name
alter table biz.ai_breakers add column changed_by text not null default 'guard';

create table biz.ai_breaker_changes (
    id           bigint generated always as identity primary key,
    app_type     text not null,
    state_before text not null,
    state_after  text not null,
    epoch        bigint not null,
    relapses     integer not null,
    reason       text,
    changed_by   text not null,
    open_until   timestamptz,
    created_at   timestamptz not null default clock_timestamp()
);
create index ai_breaker_changes_of_app on biz.ai_breaker_changes (app_type, id desc);

create function biz.ai_record_breaker_change() returns trigger language plpgsql as $$
begin
    insert into biz.ai_breaker_changes (app_type, state_before, state_after, epoch, relapses, reason,
            changed_by, open_until)
        values (new.app_type, old.state, new.state, new.epoch, new.relapses, new.reason,
            new.changed_by, new.open_until);
    return null;
end $$;
create trigger ai_breakers_record after update on biz.ai_breakers
    for each row when (old.epoch is distinct from new.epoch) execute function biz.ai_record_breaker_change();

-- The state machine: the breaker as it is after p_event at p_at. It reads and writes nothing; docs/guard.md has the
-- table. Every change of state begins an epoch; p_epoch is the epoch in which the call was admitted that the event
-- tells of, and one of an earlier epoch changes nothing (null: the event is not of a call).
--   asked    a call asks to be let through
--   passed   a call let through as a probe gave an answer
--   tripped  failures reached their share over the minimum of calls (of a closed breaker), or a probe failed
--   blocked  an error that opens at once: no access, arrears
create function biz.ai_breaker_after(
    p_breaker biz.ai_breakers, p_event text, p_epoch bigint, p_reason text, p_at timestamptz, p_limits jsonb
) returns biz.ai_breakers language plpgsql immutable as $$
declare
    v_next    biz.ai_breakers := p_breaker;
    v_relapse boolean;
begin
    if p_epoch <> p_breaker.epoch then
        return p_breaker;
    end if;
    case
        when p_event = 'asked' and p_breaker.state = 'open' and p_breaker.open_until <= p_at then
            v_next.state := 'half_open';
            v_next.probes_passed := 0;
        when p_event = 'passed' and p_breaker.state = 'half_open' then
            v_next.probes_passed := p_breaker.probes_passed + 1;
            if v_next.probes_passed < (p_limits ->> 'breaker_probes')::integer then
                return v_next;
            end if;
            v_next.state := 'closed';
            v_next.relapses := 0;
            v_next.probes_passed := 0;
            v_next.open_until := null;
            v_next.reason := null;
        when p_event = 'blocked' or (p_event = 'tripped' and p_breaker.state <> 'open') then
            -- what a probe met, or would have met: the open time doubles
            v_relapse := p_breaker.state = 'half_open'
                or (p_breaker.state = 'open' and p_breaker.open_until <= p_at);
            v_next.state := 'open';
            v_next.probes_passed := 0;
            v_next.relapses := p_breaker.relapses + v_relapse::integer;
            v_next.open_until := p_at + make_interval(secs => least(
                (p_limits ->> 'breaker_open_max_s')::double precision,
                (p_limits ->> 'breaker_open_s')::double precision * 2 ^ least(30, v_next.relapses)));
            if p_breaker.state = 'open' and p_breaker.open_until > v_next.open_until then
                -- never shorter than it was, above all where an operator opened it
                return p_breaker;
            end if;
            v_next.reason := p_reason;
        else
            return p_breaker;
    end case;
    v_next.epoch := p_breaker.epoch + 1;
    v_next.changed_at := p_at;
    v_next.changed_by := 'guard';
    return v_next;
end $$;

-- Keep a breaker as the state machine left it; its row is locked by the caller. Returns whether it is newly open.
create function biz.ai_keep_breaker(p_before biz.ai_breakers, p_after biz.ai_breakers) returns boolean
language plpgsql as $$
begin
    if p_after.epoch = p_before.epoch and p_after.probes_passed = p_before.probes_passed then
        return false;
    end if;
    update biz.ai_breakers b
        set state = p_after.state, epoch = p_after.epoch, relapses = p_after.relapses,
            open_until = p_after.open_until, probes_passed = p_after.probes_passed, reason = p_after.reason,
            changed_at = p_after.changed_at, changed_by = p_after.changed_by,
            cooldown_until = p_after.cooldown_until
        where b.app_type = p_after.app_type;
    if p_after.epoch <> p_before.epoch then
        delete from biz.ai_breaker_outcomes o where o.app_type = p_after.app_type;
    end if;
    return p_after.state = 'open' and p_before.state <> 'open';
end $$;

-- An operator's hand on a breaker: 'open' (for p_seconds, then half-open; null: until it is closed), 'close' (its
-- relapses stay: if it opens again, it opens as long as they say), 'reset' (as if it had never failed; ends a
-- cooldown too). Recorded in ai_breaker_changes with p_by. Returns the breaker as it is now.
create function biz.ai_set_breaker(
    p_app text, p_action text, p_by text, p_reason text, p_seconds double precision
) returns biz.ai_breakers language plpgsql as $$
declare
    v_before biz.ai_breakers;
    v_after  biz.ai_breakers;
    v_now    timestamptz := clock_timestamp();
begin
    if p_action not in ('open', 'close', 'reset') then
        raise exception 'ai_set_breaker: unknown action %, there are open, close, reset', p_action;
    end if;
    insert into biz.ai_breakers (app_type) values (p_app) on conflict do nothing;
    select * into v_before from biz.ai_breakers b where b.app_type = p_app for update;
    v_after := v_before;
    v_after.epoch := v_before.epoch + 1;
    v_after.probes_passed := 0;
    v_after.changed_at := v_now;
    v_after.changed_by := p_by;
    v_after.reason := p_reason;
    if p_action = 'open' then
        v_after.state := 'open';
        v_after.open_until := case when p_seconds is null then 'infinity'
            else v_now + make_interval(secs => p_seconds) end;
    else
        v_after.state := 'closed';
        v_after.open_until := null;
        if p_action = 'reset' then
            v_after.relapses := 0;
            v_after.cooldown_until := null;
        end if;
    end if;
    perform biz.ai_keep_breaker(v_before, v_after);
    return v_after;
end $$;
