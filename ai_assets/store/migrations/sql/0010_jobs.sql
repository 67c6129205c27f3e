-- Leases of trigger jobs: one implementation for the members' jobs (claimed by workers) and the sites' (by site runs).
--
--   pending --claim--> running --finish--> completed | partial | failed
--      ^                  |
--      +---- requeue -----+   asked to stop: the attempt does not count
--      +- requeue_expired +   killed, or lost Postgres: the attempt counts; dead after the last one

alter table biz.ai_trigger_jobs
    -- Runs or workers that began or were to begin on it. Unlike attempts it is never counted back, so it numbers the
    -- Dagster runs of a site's job. 0 in rows of older versions: read greatest(launches, attempts).
    add column launches integer not null default 0,
    -- A member's job that lost attempts beside others: it is claimed only by a worker that runs nothing else meanwhile.
    add column run_alone boolean not null default false,
    -- A member's job that waits behind an older one of its member, forced or not as it is: no claim looks at it.
    -- False where that is not sure; a claim looks again.
    add column queued_behind boolean not null default false;

-- Whether a worker or site run sent a heartbeat within its lease.
create function biz.ai_is_alive(p_worker text) returns boolean language sql stable as $$
    select exists (
        select from biz.ai_workers w
        where w.id = p_worker and w.heartbeat_at + make_interval(secs => w.lease_s) >= biz.ai_now())
$$;

-- Running jobs whose lease expired: the sites' (p_sites), which have no member, or the members'. A holder that is
-- alive keeps its job: it could not renew the lease because somebody's open transaction holds the row.
create function biz.ai_expired_jobs(p_sites boolean) returns setof biz.ai_trigger_jobs language sql stable as $$
    select j.* from biz.ai_trigger_jobs j
    where j.status = 'running' and j.lease_until < biz.ai_now() and (j.member_id is null) = p_sites
      and not biz.ai_is_alive(j.lease_owner)
    order by j.id
$$;

-- Count a lost attempt of each of these jobs, which the caller has locked: pending again, or dead after p_max_attempts.
-- The wait is p_wait_s, four times as long with each attempt, and up to twice that by chance, so that jobs that lost
-- their worker together spread. Only a job that was alone in its process becomes dead: one of its neighbours may have
-- killed the worker. So a member's job makes its last attempt alone; where no attempt is left, it gets one more. A
-- site run has one job. Whatever kills the processes, a job has at most greatest(p_max_attempts, 2) attempts.
-- Calls that the attempt left in flight are settled, so that the next attempt need not wait for them. Returns the jobs
-- as they are now.
create function biz.ai_lose_attempts(
    p_jobs bigint[], p_why text, p_max_attempts integer, p_wait_s double precision, p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
begin
    update biz.ai_trigger_jobs j
        set status = case when l.is_last then 'dead' else 'pending' end,
            run_alone = l.is_next_alone,
            not_before = biz.ai_now() + make_interval(secs => (1 + random())
                * least(p_longest_wait_s, p_wait_s * 4 ^ least(30, greatest(0, j.attempts - 1)))),
            error_message = case
                when l.is_last then format('given up after %s attempts: %s', j.attempts, p_why)
                else format('attempt %s was lost: %s', j.attempts, p_why)
                    || case when l.is_next_alone then '; the next one runs alone in a worker' else '' end end,
            finished_at = case when l.is_last then biz.ai_now() end,
            lease_owner = null, lease_until = null
        from (
            select k.id,
                k.attempts >= p_max_attempts and (k.run_alone or k.member_id is null) as is_last,
                k.member_id is not null and (k.run_alone or k.attempts >= p_max_attempts - 1) as is_next_alone
            from biz.ai_trigger_jobs k where k.id = any(p_jobs)) l
        where j.id = l.id;
    perform biz.ai_reap_leases(array(
        select l.id from biz.ai_leases l join biz.ai_run_logs g on g.id = l.run_log_id
            where g.trigger_job_id = any(p_jobs)));
    return query select * from biz.ai_trigger_jobs j where j.id = any(p_jobs) order by j.id;
end $$;

-- Requeue the jobs whose lease expired; mark them dead after the last attempt. A row that somebody has locked is left
-- to the next call.
create function biz.ai_requeue_expired(
    p_sites boolean, p_max_attempts integer, p_wait_s double precision, p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
declare
    v_jobs bigint[];
begin
    perform biz.ai_follow_clock();
    select array_agg(l.id) into v_jobs from (
        select j.id from biz.ai_trigger_jobs j
            -- looked at again once the row is locked: it may have ended in between
            where j.status = 'running' and j.lease_until < biz.ai_now()
              and j.id in (select e.id from biz.ai_expired_jobs(p_sites) e)
            order by j.id
            for no key update of j skip locked) l;
    if v_jobs is not null then
        return query select * from biz.ai_lose_attempts(v_jobs, 'its process was killed or lost Postgres',
            p_max_attempts, p_wait_s, p_longest_wait_s);
    end if;
end $$;
drop function biz.ai_take_over_lost(integer, double precision, double precision);

-- Count a lost attempt of a pending job whose run ended before it claimed the job. p_launches: how many launches the
-- caller knew of; nothing changes where there are more by now, or where somebody has locked the row.
create function biz.ai_lose_start(
    p_job bigint, p_launches integer, p_max_attempts integer, p_wait_s double precision,
    p_longest_wait_s double precision
) returns setof biz.ai_trigger_jobs language plpgsql as $$
begin
    perform from biz.ai_trigger_jobs j
        where j.id = p_job and j.status = 'pending' and greatest(j.launches, j.attempts) = p_launches
        for no key update skip locked;
    if found then
        update biz.ai_trigger_jobs j set attempts = j.attempts + 1, launches = p_launches + 1 where j.id = p_job;
        return query select * from biz.ai_lose_attempts(array[p_job], 'its run ended before it began',
            p_max_attempts, p_wait_s, p_longest_wait_s);
    end if;
end $$;

-- The queue of members' jobs. A claim looks only at the heads of members' queues, however much waits behind them:
-- rows that are queued_behind are not in the index that it walks. Two rows of a member may be in it, its oldest forced
-- and its oldest other job, and rarely one more.

update biz.ai_trigger_jobs j set queued_behind = true
    from (
        select k.id, row_number() over (partition by k.site_id, k.member_id, k.is_forced order by k.id) as place
        from biz.ai_trigger_jobs k where k.status = 'pending' and k.member_id is not null) q
    where j.id = q.id and q.place > 1;

drop index biz.ai_trigger_jobs_member_queue;
create index ai_trigger_jobs_member_queue on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and member_id is not null and not queued_behind and not run_alone;
drop index biz.ai_trigger_jobs_of_member;
create index ai_trigger_jobs_of_member on biz.ai_trigger_jobs (site_id, member_id, is_forced, id)
    where status = 'pending' and member_id is not null;
create index ai_trigger_jobs_behind on biz.ai_trigger_jobs (site_id, member_id)
    where status = 'pending' and member_id is not null and queued_behind;
create index ai_trigger_jobs_alone on biz.ai_trigger_jobs (not_before)
    where status = 'pending' and member_id is not null and run_alone;

-- The oldest pending job of a member, forced or not; p_after: with a greater id. By row comparison and in the whole order
-- of its index: where the member was compared for equality and the order was that of the ids alone, a plan made from the
-- statistics of one large backlog walked the table by its primary key.
create function biz.ai_oldest_pending(p_site bigint, p_member bigint, p_forced boolean, p_after bigint default 0)
returns table (id bigint, not_before timestamptz, run_alone boolean, queued_behind boolean) language sql stable as $$
    select h.id, h.not_before, h.run_alone, h.queued_behind from (
        select * from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null
              and (j.site_id, j.member_id, j.is_forced, j.id) > (p_site, p_member, p_forced, p_after)
            order by j.site_id, j.member_id, j.is_forced, j.id
            limit 1) h
    where h.site_id = p_site and h.member_id = p_member and h.is_forced = p_forced
$$;

create function biz.ai_note_place_in_queue() returns trigger language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_before record;
begin
    -- the newest older one: the oldest end of a long queue is full of dead entries
    select j.site_id, j.member_id, j.is_forced into v_before from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.member_id is not null
          and (j.site_id, j.member_id, j.is_forced, j.id) < (new.site_id, new.member_id, new.is_forced, new.id)
        order by j.site_id desc, j.member_id desc, j.is_forced desc, j.id desc
        limit 1;
    new.queued_behind := found and v_before.site_id = new.site_id and v_before.member_id = new.member_id
        and v_before.is_forced = new.is_forced;
    return new;
end $$;
create trigger ai_trigger_jobs_place before insert on biz.ai_trigger_jobs
    for each row when (new.status = 'pending' and new.member_id is not null)
    execute function biz.ai_note_place_in_queue();
create trigger ai_trigger_jobs_new_place before update of is_forced on biz.ai_trigger_jobs
    for each row when (new.status = 'pending' and new.member_id is not null and new.is_forced <> old.is_forced)
    execute function biz.ai_note_place_in_queue();

-- Let claims see the oldest forced and the oldest other pending job of a member. A row that somebody has locked is
-- left to ai_promote_stuck.
create function biz.ai_promote_heads(p_site bigint, p_member bigint) returns void language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_forced boolean;
    v_head   record;
begin
    foreach v_forced in array array[true, false] loop
        select * into v_head from biz.ai_oldest_pending(p_site, p_member, v_forced);
        if found and v_head.queued_behind then
            update biz.ai_trigger_jobs j set queued_behind = false
                from (select k.id from biz.ai_trigger_jobs k where k.id = v_head.id for no key update skip locked) free
                where j.id = free.id;
        end if;
    end loop;
end $$;

-- Whoever leaves the queue or stops running lets the next of its member be seen.
create function biz.ai_promote_next() returns trigger language plpgsql as $$
begin
    perform biz.ai_promote_heads(new.site_id, new.member_id);
    return null;
end $$;
create trigger ai_trigger_jobs_promote after update of status on biz.ai_trigger_jobs
    for each row when (new.member_id is not null and old.status in ('pending', 'running') and new.status <> old.status)
    execute function biz.ai_promote_next();

-- Promote heads that nobody promoted: their row was locked, or their event was sent while the job before it waited and
-- committed after that one had ended. Looks at up to p_limit members that have such rows, after the given one; returns
-- the last member, or nulls where it reached the end.
create function biz.ai_promote_stuck(p_after_site bigint, p_after_member bigint, p_limit integer,
    out last_site bigint, out last_member bigint)
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_next record;
begin
    last_site := coalesce(p_after_site, -9223372036854775808);
    last_member := coalesce(p_after_member, -9223372036854775808);
    for _ in 1..p_limit loop
        select j.site_id, j.member_id into v_next from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and j.queued_behind
              and (j.site_id, j.member_id) > (last_site, last_member)
            order by j.site_id, j.member_id
            limit 1;
        if not found then
            last_site := null;
            last_member := null;
            return;
        end if;
        last_site := v_next.site_id;
        last_member := v_next.member_id;
        perform biz.ai_promote_heads(last_site, last_member);
    end loop;
end $$;

-- The head of a member's queue: its oldest pending job, the only one that may be claimed. So a member's chains run in
-- the order in which their events came.
create function biz.ai_member_head(p_site bigint, p_member bigint)
returns table (id bigint, not_before timestamptz, run_alone boolean) language sql stable as $$
    select h.id, h.not_before, h.run_alone from (
        select * from biz.ai_oldest_pending(p_site, p_member, true)
        union all
        select * from biz.ai_oldest_pending(p_site, p_member, false)) h
    order by h.id limit 1
$$;

-- The heads of one site that a worker may run beside others now, at most p_wanted, forced first and then older;
-- p_missed are heads that could not be claimed a moment ago. A forced job behind an older one of its member lends the
-- head its priority. Statistics of a queue are always old: the settings keep every plan to the queue's own indexes.
create or replace function biz.ai_member_heads(p_site bigint, p_wanted integer, p_missed bigint[]) returns bigint[]
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_heads  bigint[] := '{}';
    v_seen   bigint[];
    v_forced boolean;
    v_job    record;
    v_head   record;
begin
    -- a member whose chain runs is passed over
    select coalesce(array_agg(b.member_id), '{}') into v_seen from (
        select j.member_id from biz.ai_trigger_jobs j
            where j.status = 'running' and j.site_id = p_site and j.member_id is not null
        union all
        select j.member_id from biz.ai_trigger_jobs j where j.id = any(p_missed) and j.site_id = p_site) b;
    foreach v_forced in array array[true, false] loop
        -- a loop reads its rows as they are needed, a few at a time
        for v_job in
            select j.member_id from biz.ai_trigger_jobs j
                where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
                  and j.site_id = p_site and j.is_forced = v_forced
                order by j.id
        loop
            continue when v_job.member_id = any(v_seen);
            v_seen := v_seen || v_job.member_id;
            select * into v_head from biz.ai_member_head(p_site, v_job.member_id);
            if v_head.not_before <= biz.ai_now() and not v_head.run_alone then
                v_heads := v_heads || v_head.id;
                if cardinality(v_heads) >= p_wanted then
                    return v_heads;
                end if;
            end if;
        end loop;
    end loop;
    return v_heads;
end $$;

-- Claim one head; false where it cannot be claimed any more: another has it, or it is no head now.
create or replace function biz.ai_claim_head(p_job bigint, p_owner text, p_run_id text, p_lease_s double precision)
returns boolean language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_job record;
begin
    select j.site_id, j.member_id into v_job from biz.ai_trigger_jobs j
        where j.id = p_job and j.status = 'pending' and j.not_before <= biz.ai_now()
        for no key update skip locked;
    if not found then
        return false;
    end if;
    -- An older job of the member may have been committed in between. Two claimers, each with a head of its own of one
    -- member, would wait for each other at the unique index; with several members, until a deadlock.
    if not pg_try_advisory_xact_lock(
            hashtextextended('ai_assets.chain:' || v_job.site_id || ':' || v_job.member_id, 0)) then
        return false;
    end if;
    -- Looked at again: what was seen while walking the queue is older than the locks.
    perform from biz.ai_trigger_jobs j
        where j.status = 'running' and j.site_id = v_job.site_id and j.member_id = v_job.member_id;
    if found then
        return false;
    end if;
    perform from biz.ai_member_head(v_job.site_id, v_job.member_id) h where h.id < p_job;
    if found then
        return false;
    end if;
    begin
        update biz.ai_trigger_jobs j
            set status = 'running', attempts = j.attempts + 1, launches = greatest(j.launches, j.attempts) + 1,
                lease_owner = p_owner, run_id = p_run_id,
                lease_until = biz.ai_now() + make_interval(secs => p_lease_s),
                started_at = coalesce(j.started_at, clock_timestamp()), finished_at = null, error_message = null
            where j.id = p_job;
    exception when unique_violation then
        -- a job of the member that was claimed by its id, at this instant
        return false;
    end;
    return true;
end $$;

-- Up to p_limit jobs for a worker. Fair over sites: what counts is how many chains of the site run already plus
-- the place in its queue; ties go round robin, beginning with the first site after p_after_site.
create or replace function biz.ai_claim_member_jobs(
    p_owner text, p_run_id text, p_lease_s double precision, p_limit integer, p_after_site bigint,
    p_rate integer default null
) returns setof biz.ai_trigger_jobs language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
declare
    v_left    integer;
    v_sites   bigint[];
    -- running chains of each site, with those claimed here; null: no more of the site can be claimed
    v_chains  bigint[];
    v_missed  bigint[] := '{}';
    v_claimed bigint[] := '{}';
    v_ranks   bigint[] := '{}';
    v_turns   integer[] := '{}';
    v_heads   bigint[];
    v_head    bigint;
    v_share   record;
    v_went_on boolean;
    v_full    boolean;
begin
    with recursive site as (
        (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
            order by j.site_id limit 1)
        union all
        select (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and j.site_id > s.site_id
            order by j.site_id limit 1)
        from site s where s.site_id is not null),
    running as (
        select j.site_id, count(*) as chains from biz.ai_trigger_jobs j
            where j.status = 'running' and j.member_id is not null group by j.site_id)
    select array_agg(s.site_id order by c.had_its_turn, s.site_id),
            array_agg(coalesce(r.chains, 0) order by c.had_its_turn, s.site_id)
        into v_sites, v_chains
        from site s
        cross join lateral (select coalesce(s.site_id <= p_after_site, false) as had_its_turn) c
        left join running r on r.site_id = s.site_id
        where s.site_id is not null;

    loop
        v_left := p_limit - cardinality(v_claimed);
        exit when v_left <= 0 or v_sites is null;
        v_went_on := false;
        -- who gets the free slots if every site has enough jobs; what a site does not use goes to the others in the next round
        for v_share in
            select a.turn, count(*)::integer as jobs from (
                select s.turn from (
                    select o.turn::integer, o.chains from unnest(v_chains) with ordinality o (chains, turn)
                        where o.chains is not null order by o.chains, o.turn limit v_left) s
                cross join generate_series(1, v_left) place
                order by s.chains + place, s.turn
                limit v_left) a
            group by a.turn
            order by a.turn
        loop
            v_went_on := true;
            v_full := not biz.ai_site_has_room(v_sites[v_share.turn], v_chains[v_share.turn], p_rate);
            v_heads := case when v_full then '{}'
                else biz.ai_member_heads(v_sites[v_share.turn], v_share.jobs, v_missed) end;
            foreach v_head in array v_heads loop
                v_full := not biz.ai_site_has_room(v_sites[v_share.turn], v_chains[v_share.turn], p_rate);
                exit when v_full;
                if biz.ai_claim_head(v_head, p_owner, p_run_id, p_lease_s) then
                    v_chains[v_share.turn] := v_chains[v_share.turn] + 1;
                    v_claimed := v_claimed || v_head;
                    v_ranks := v_ranks || v_chains[v_share.turn];
                    v_turns := v_turns || v_share.turn;
                else
                    v_missed := v_missed || v_head;
                end if;
            end loop;
            if v_full or cardinality(v_heads) < v_share.jobs then
                v_chains[v_share.turn] := null;
            end if;
        end loop;
        exit when not v_went_on;
    end loop;

    -- in the order of their turns: the last one tells where the next claim goes on
    return query
        select j.* from unnest(v_claimed, v_ranks, v_turns) c (id, rank, turn)
            join biz.ai_trigger_jobs j on j.id = c.id
            order by c.rank, c.turn;
end $$;

-- The job that waits longest of those that must run alone, for a worker that runs nothing else until it ends; no row
-- where there is none, or where one runs already: at most one worker at a time does this.
create function biz.ai_claim_alone_job(
    p_owner text, p_run_id text, p_lease_s double precision, p_rate integer default null
) returns setof biz.ai_trigger_jobs language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_job record;
    v_full bigint[] := '{}';
begin
    for v_job in
        select j.id, j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and j.run_alone
              and j.not_before <= biz.ai_now()
            order by j.not_before
    loop
        -- held until the claim is committed
        if not pg_try_advisory_xact_lock(hashtextextended('ai_assets.run_alone', 0)) then
            return;
        end if;
        perform from biz.ai_trigger_jobs j where j.status = 'running' and j.member_id is not null and j.run_alone;
        if found then
            return;
        end if;
        continue when v_job.site_id = any(v_full);
        if not biz.ai_site_has_room(v_job.site_id, (
                select count(*) from biz.ai_trigger_jobs j
                where j.status = 'running' and j.member_id is not null and j.site_id = v_job.site_id), p_rate) then
            v_full := v_full || v_job.site_id;
            continue;
        end if;
        if biz.ai_claim_head(v_job.id, p_owner, p_run_id, p_lease_s) then
            return query select * from biz.ai_trigger_jobs j where j.id = v_job.id;
            return;
        end if;
    end loop;
end $$;

-- How much work waits for workers. No count reads more than p_counted rows of those that are due.
--   due           pending jobs whose time has come, up to p_counted
--   later         pending jobs whose time has not come
--   running       chains that run
--   startable     chains that a worker could begin now beside others, one a member, up to p_counted
--   alone         due jobs that must run alone, up to p_counted
--   held_up       sites with pending jobs whose rate has no room for one more chain
--   oldest_due_s  for how long the oldest of the startable ones has waited, seconds; 0: none
create function biz.ai_queue_depth(p_rate integer, p_counted integer,
    out due bigint, out later bigint, out running bigint, out startable bigint, out alone bigint, out held_up bigint,
    out oldest_due_s double precision)
language sql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
    with recursive site as (
        (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
            order by j.site_id limit 1)
        union all
        select (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and j.site_id > s.site_id
            order by j.site_id limit 1)
        from site s where s.site_id is not null),
    busy as materialized (
        select j.site_id, j.member_id from biz.ai_trigger_jobs j
        where j.status = 'running' and j.member_id is not null),
    waits as materialized (
        select j.site_id, j.member_id from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.member_id is not null and j.not_before > '-infinity'
          and j.not_before > biz.ai_now()),
    suspect as materialized (
        select j.site_id, j.member_id, j.not_before from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.member_id is not null and j.run_alone),
    room as materialized (
        select s.site_id, biz.ai_site_has_room(
            s.site_id, (select count(*) from busy b where b.site_id = s.site_id), p_rate) as has_room
        from site s where s.site_id is not null),
    head as materialized (
        select h.site_id, h.member_id, h.since
        from room r
        cross join lateral (
            select j.site_id, j.member_id, greatest(j.created_at, j.not_before) as since from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and j.site_id = r.site_id
              and (j.site_id, j.member_id) not in (
                select b.site_id, b.member_id from busy b
                union all select w.site_id, w.member_id from waits w
                union all select a.site_id, a.member_id from suspect a)
            order by j.is_forced desc, j.id
            limit p_counted) h
        where r.has_room
        limit p_counted)
    select
        (select count(*) from (
            select from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and j.not_before <= biz.ai_now()
            limit p_counted) d),
        (select count(*) from waits),
        (select count(*) from busy),
        (select count(*) from (select distinct h.site_id, h.member_id from head h) d),
        (select count(*) from (select from suspect a where a.not_before <= biz.ai_now() limit p_counted) d),
        (select count(*) from room r where not r.has_room),
        coalesce(extract(epoch from biz.ai_now() - (select min(h.since) from head h)), 0)::float8
$$;
