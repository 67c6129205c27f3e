-- The rate of a site, and the queue of those who wait for a place in it.

-- Who waits: a ticket each. They are served by turn_at, so first come is first served; a batch's call stands where a
-- live one would that came half of the batch's patience later. A ticket counts as long as its holder may still look
-- at the time that it was told (looks_at) or a moment after: one whose holder died holds nobody up for long.
create table biz.ai_rate_queue (
    site_id  bigint not null,
    turn_at  timestamptz not null,
    id       bigint generated always as identity,
    batch    boolean not null,
    looks_at timestamptz not null,
    primary key (site_id, turn_at, id)
);

-- How late a waiting caller may look before others pass it.
create function biz.ai_rate_grace() returns interval language sql immutable as $$ select interval '2 s' $$;

-- When the place is free that comes after p_ahead others (p_batch_ahead of them batches); p_at: it is free now. Reads
-- only; what those before it will do is not known yet, so a time ahead is the earliest one.
create function biz.ai_rate_free_at(
    p_rate biz.ai_rate_limits, p_batch boolean, p_ahead bigint, p_batch_ahead bigint, p_at timestamptz, p_limits jsonb
) returns timestamptz language plpgsql stable as $$
declare
    v_places  integer := (p_limits ->> 'rate_per_minute')::integer;
    v_instant integer := greatest(1, v_places / 5);
    v_share   integer := greatest(1, floor(v_places * (p_limits ->> 'batch_rate_share')::numeric)::integer);
    v_free    timestamptz;
begin
    -- a place is free when the one that is so many before it is old enough; where that one is itself still to be
    -- taken, whole rounds come on top
    select max(coalesce(p.taken_at, p_at - w.age) + w.age * (1 + w.rounds)) into v_free
        from (values
            -- never more than the rate in any 60 s
            (p_rate.last_place + 1 + p_ahead % v_places - v_places, interval '60 s', p_ahead / v_places),
            -- at most a fifth of it at one instant, taken as one second
            (p_rate.last_place + 1 + p_ahead % v_instant - v_instant, interval '1 s', p_ahead / v_instant)
        ) w (place, age, rounds)
        left join biz.ai_rate_places p on p.site_id = p_rate.site_id and p.place = w.place;
    if p_batch then
        -- batches leave the rest of the rate to live events
        select greatest(v_free, max(coalesce(p.taken_at, p_at - interval '60 s')
                + interval '60 s' * (1 + p_batch_ahead / v_share))) into v_free
            from (values (p_rate.last_batch_place + 1 + p_batch_ahead % v_share - v_share)) w (place)
            left join biz.ai_rate_places p on p.site_id = p_rate.site_id and p.batch_place = w.place;
    end if;
    return greatest(p_at, v_free);
end $$;

-- Whether it is a caller's turn: wait_s 0, and the place is the caller's to take in this transaction. Else the seconds
-- until it is worth while to look again, and a ticket in the queue till then. Locks the site's row; everything about a
-- site's places and queue happens under it.
-- p_turn: since when the caller stands in the queue; p_ticket: its ticket, null at first. A wait of more than
-- p_wait_s is not begun: the ticket is given up.
create function biz.ai_rate_turn(
    p_site bigint, p_batch boolean, p_turn timestamptz, p_wait_s double precision, p_limits jsonb,
    inout p_ticket bigint, out wait_s double precision
) language plpgsql as $$
declare
    v_rate  biz.ai_rate_limits;
    v_ahead record;
    v_now   timestamptz;
    v_free  timestamptz;
begin
    select * into v_rate from biz.ai_rate_limits r where r.site_id = p_site for update;
    if not found then
        insert into biz.ai_rate_limits (site_id) values (p_site) on conflict do nothing;
        select * into v_rate from biz.ai_rate_limits r where r.site_id = p_site for update;
    end if;
    v_now := clock_timestamp();
    select count(*) as callers, count(*) filter (where q.batch) as batches into v_ahead
        from biz.ai_rate_queue q
        where q.site_id = p_site and q.looks_at > v_now - biz.ai_rate_grace()
          and (q.turn_at, q.id) < (p_turn, coalesce(p_ticket, 9223372036854775807));
    if v_ahead.batches > 0 and not p_batch
        and biz.ai_rate_free_at(v_rate, true, 0, 0, v_now, p_limits) > v_now
    then
        -- batches that have had their share hold no live call up
        v_ahead.callers := v_ahead.callers - v_ahead.batches;
    end if;
    -- the places that come free next are theirs, also where they still sleep
    v_free := biz.ai_rate_free_at(v_rate, p_batch, v_ahead.callers, v_ahead.batches, v_now, p_limits);
    if v_free <= v_now then
        wait_s := 0;
        return;
    end if;

    wait_s := extract(epoch from v_free - v_now);
    delete from biz.ai_rate_queue q
        where q.site_id = p_site and (q.looks_at < v_now - biz.ai_rate_grace() * 10
            or (wait_s > p_wait_s and q.turn_at = p_turn and q.id = p_ticket));
    if wait_s > p_wait_s then
        p_ticket := null;
        return;
    end if;
    update biz.ai_rate_queue q set looks_at = v_now + make_interval(secs => wait_s)
        where q.site_id = p_site and q.turn_at = p_turn and q.id = p_ticket;
    if not found then
        insert into biz.ai_rate_queue (site_id, turn_at, batch, looks_at)
            values (p_site, p_turn, p_batch, v_now + make_interval(secs => wait_s))
            returning id into p_ticket;
    end if;
end $$;

-- Give a ticket back: whoever held it does not wait any more.
create function biz.ai_rate_leave(p_site bigint, p_turn timestamptz, p_ticket bigint) returns void
language sql as $$
    delete from biz.ai_rate_queue q where q.site_id = p_site and q.turn_at = p_turn and q.id = p_ticket
$$;

-- A place for one more HTTP attempt of an admitted call: seconds to wait, 0 where it was taken. Such a call goes before
-- all that are not admitted yet.
drop function biz.ai_take_place(bigint, boolean, jsonb);
create function biz.ai_take_place(
    p_site bigint, p_batch boolean, p_wait_s double precision, p_limits jsonb,
    inout p_ticket bigint, out wait_s double precision
) language plpgsql as $$
declare
    v_turn timestamptz := '-infinity';
    v_mine record;
begin
    select * into v_mine from biz.ai_rate_turn(p_site, p_batch, v_turn, p_wait_s, p_limits, p_ticket);
    wait_s := v_mine.wait_s;
    if wait_s = 0 then
        perform biz.ai_rate_leave(p_site, v_turn, p_ticket);
        perform biz.ai_rate_take(p_site, p_batch);
    end if;
    p_ticket := v_mine.p_ticket;
end $$;
drop function biz.ai_rate_wait(bigint, boolean, jsonb);
