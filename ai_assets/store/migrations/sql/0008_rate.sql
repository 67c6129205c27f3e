-- The rate of a site reads the clock by biz.ai_now(), and survives that one of its tables was emptied.

-- Whether it is a caller's turn. wait_s 0: the caller may take the next place in this transaction. Otherwise the seconds
-- after which it should ask again, and its ticket in the queue until then. Locks the site's row; all changes to a
-- site's places and queue happen under this lock.
-- p_turn: since when the caller waits; p_ticket: its ticket, null at first. A wait of more than p_wait_s is not begun:
-- the ticket is deleted.
create or replace function biz.ai_rate_turn(
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
        if found then
            -- its numbers begin again: places of an earlier row, which was emptied, would collide with them
            delete from biz.ai_rate_places p where p.site_id = p_site;
        end if;
        select * into v_rate from biz.ai_rate_limits r where r.site_id = p_site for update;
    end if;
    v_now := biz.ai_now();
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

-- Take the place that ai_rate_turn found free, in the same transaction.
create or replace function biz.ai_rate_take(p_site bigint, p_batch boolean) returns void language plpgsql as $$
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
                biz.ai_now());
    -- for each place taken, two old ones are deleted, so that their number stays bounded; the number where the last
    -- sweep ended saves reading the index entries of deleted places
    with oldest as (
        select p.place, p.taken_at from biz.ai_rate_places p
            where p.site_id = p_site and p.place > v_rate.swept_place
            order by p.place limit 2),
    gone as (
        delete from biz.ai_rate_places p using oldest o
            where p.site_id = p_site and p.place = o.place
              and o.taken_at < biz.ai_now() - interval '61 s'
            returning p.place)
    select max(g.place) into v_swept from gone g;
    if v_swept is not null then
        update biz.ai_rate_limits r set swept_place = v_swept where r.site_id = p_site;
    end if;
end $$;
