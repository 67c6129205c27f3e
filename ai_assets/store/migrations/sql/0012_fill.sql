-- Trigger jobs of type manual: work that a person queued, in any number, behind the live events.

alter table biz.ai_trigger_jobs
    -- Live events go before it: it is claimed where none of them waits, and uses only its share of the rate.
    add column background boolean not null default false;

-- The pending jobs of a person's fill, to find those that cover a new one, and the sites' among them.
create index ai_trigger_jobs_manual on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and event_type = 'manual';

-- A member's background jobs are a queue of their own for what claims see: a live event behind one of them is seen, and
-- lends it its priority, as a forced event does for a job before it. They still run in the order in which they came.
drop index biz.ai_trigger_jobs_member_queue;
create index ai_trigger_jobs_member_queue on biz.ai_trigger_jobs (background, site_id, is_forced desc, id)
    where status = 'pending' and member_id is not null and not queued_behind and not run_alone;
drop index biz.ai_trigger_jobs_of_member;
create index ai_trigger_jobs_of_member on biz.ai_trigger_jobs (site_id, member_id, background, is_forced, id)
    where status = 'pending' and member_id is not null;

-- The sites' own jobs: batch events first, then background work.
drop index biz.ai_trigger_jobs_site_queue;
create index ai_trigger_jobs_site_queue on biz.ai_trigger_jobs (site_id, background, is_forced desc, id)
    where status = 'pending' and member_id is null;

-- As before, of one kind of job: live or background. By row comparison and in the whole order of its index, see there.
drop function biz.ai_oldest_pending(bigint, bigint, boolean, bigint);
create function biz.ai_oldest_pending(
    p_site bigint, p_member bigint, p_background boolean, p_forced boolean, p_after bigint default 0
) returns table (id bigint, not_before timestamptz, run_alone boolean, queued_behind boolean)
language sql stable as $$
    select h.id, h.not_before, h.run_alone, h.queued_behind from (
        select * from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null
              and (j.site_id, j.member_id, j.background, j.is_forced, j.id)
                > (p_site, p_member, p_background, p_forced, p_after)
            order by j.site_id, j.member_id, j.background, j.is_forced, j.id
            limit 1) h
    where h.site_id = p_site and h.member_id = p_member and h.background = p_background and h.is_forced = p_forced
$$;

create or replace function biz.ai_note_place_in_queue() returns trigger language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_before record;
begin
    -- the newest older one: the oldest end of a long queue is full of dead entries
    select j.site_id, j.member_id, j.background, j.is_forced into v_before from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.member_id is not null
          and (j.site_id, j.member_id, j.background, j.is_forced, j.id)
            < (new.site_id, new.member_id, new.background, new.is_forced, new.id)
        order by j.site_id desc, j.member_id desc, j.background desc, j.is_forced desc, j.id desc
        limit 1;
    new.queued_behind := found and v_before.site_id = new.site_id and v_before.member_id = new.member_id
        and v_before.background = new.background and v_before.is_forced = new.is_forced;
    return new;
end $$;

-- The oldest pending job of a member of each kind: live and background, forced and not.
create function biz.ai_member_firsts(p_site bigint, p_member bigint)
returns table (id bigint, not_before timestamptz, run_alone boolean, queued_behind boolean) language sql stable as $$
    select * from biz.ai_oldest_pending(p_site, p_member, false, true)
    union all
    select * from biz.ai_oldest_pending(p_site, p_member, false, false)
    union all
    select * from biz.ai_oldest_pending(p_site, p_member, true, true)
    union all
    select * from biz.ai_oldest_pending(p_site, p_member, true, false)
$$;

create or replace function biz.ai_promote_heads(p_site bigint, p_member bigint) returns void language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_first bigint;
begin
    for v_first in select f.id from biz.ai_member_firsts(p_site, p_member) f where f.queued_behind loop
        update biz.ai_trigger_jobs j set queued_behind = false
            from (select k.id from biz.ai_trigger_jobs k where k.id = v_first for no key update skip locked) free
            where j.id = free.id;
    end loop;
end $$;

create or replace function biz.ai_member_head(p_site bigint, p_member bigint)
returns table (id bigint, not_before timestamptz, run_alone boolean) language sql stable as $$
    select f.id, f.not_before, f.run_alone from biz.ai_member_firsts(p_site, p_member) f order by f.id limit 1
$$;

drop function biz.ai_member_heads(bigint, integer, bigint[]);
-- As before, of one kind of job: live events or background work.
create function biz.ai_member_heads(p_site bigint, p_wanted integer, p_missed bigint[],
    p_background boolean default false) returns bigint[]
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
                  and j.background = p_background and j.site_id = p_site and j.is_forced = v_forced
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

drop function biz.ai_claim_member_jobs(text, text, double precision, integer, bigint, integer);
-- As before, of one kind of job: a worker asks for live events first, and then for background work.
create function biz.ai_claim_member_jobs(
    p_owner text, p_run_id text, p_lease_s double precision, p_limit integer, p_after_site bigint,
    p_rate integer default null, p_background boolean default false
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
              and j.background = p_background
            order by j.site_id limit 1)
        union all
        select (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and j.background = p_background and j.site_id > s.site_id
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
                else biz.ai_member_heads(v_sites[v_share.turn], v_share.jobs, v_missed, p_background) end;
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

-- How much work waits for workers. No count reads more than p_counted rows of those that are due.
--   due           pending jobs whose time has come, up to p_counted
--   later         pending jobs whose time has not come
--   running       chains that run
--   startable     chains that a worker could begin now beside others, one a member, up to p_counted
--   alone         due jobs that must run alone, up to p_counted
--   held_up       sites with pending jobs whose rate has no room for one more chain
--   oldest_due_s  for how long the oldest startable live one has waited, seconds; 0: none
create or replace function biz.ai_queue_depth(p_rate integer, p_counted integer,
    out due bigint, out later bigint, out running bigint, out startable bigint, out alone bigint, out held_up bigint,
    out oldest_due_s double precision)
language sql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
    with recursive site as (
        (select j.background, j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
            order by j.background, j.site_id limit 1)
        union all
        select n.background, n.site_id from site s
        cross join lateral (
            select j.background, j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and (j.background, j.site_id) > (s.background, s.site_id)
            order by j.background, j.site_id limit 1) n),
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
        select s.background, s.site_id, biz.ai_site_has_room(
            s.site_id, (select count(*) from busy b where b.site_id = s.site_id), p_rate) as has_room
        from site s),
    head as materialized (
        select r.background, h.site_id, h.member_id, h.since
        from room r
        cross join lateral (
            select j.site_id, j.member_id, greatest(j.created_at, j.not_before) as since from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and not j.queued_behind and not j.run_alone
              and j.background = r.background and j.site_id = r.site_id
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
        (select count(distinct r.site_id) from room r where not r.has_room),
        coalesce(extract(epoch from biz.ai_now() - (select min(h.since) from head h where not h.background)), 0)::float8
$$;

-- As before, and a job of type manual is queued again as it was: no event could send it. Its new row carries no
-- business date either, so its prompts are as of the site's newest batch.
create or replace function biz.ai_replay_job(p_job bigint, p_forced boolean, out outcome text, out replay bigint)
language plpgsql as $$
declare
    v_job     biz.ai_trigger_jobs;
    v_payload jsonb;
begin
    -- One at a time: two jobs of one key could wait for each other.
    perform pg_advisory_xact_lock(hashtextextended('ai_assets.replay', 0));
    select * into v_job from biz.ai_trigger_jobs j where j.id = p_job for no key update;
    if not found then
        outcome := 'missing';
        return;
    end if;
    if v_job.status in ('pending', 'running') then
        outcome := v_job.status;
        return;
    end if;
    select j.id into replay from biz.ai_trigger_jobs j where j.replay_of = p_job;
    if found then
        outcome := 'replayed_before';
        return;
    end if;
    -- Without a chain it is an event that somebody sent with this name: it is refused again.
    if v_job.event_type = 'manual' and v_job.app_chain is not null then
        insert into biz.ai_trigger_jobs (event_type, site_id, member_id, connector_type, payload, is_forced,
            app_chain, background, replay_of)
        values (v_job.event_type, v_job.site_id, v_job.member_id, v_job.connector_type, v_job.payload, p_forced,
            v_job.app_chain, v_job.background, p_job)
        returning id into replay;
        outcome := 'replayed';
        return;
    end if;
    v_payload := v_job.payload;
    if v_job.status = 'failed' and v_job.attempts = 0
            and (v_payload ? 'dropped_bytes' or v_payload ? 'not_an_object') then
        outcome := 'payload_lost';
        return;
    end if;
    -- An event without a time happened when it came; a batch, when it finished.
    if v_job.event_type not in ('dws_completed', 'ai_dws_prewarm')
            and coalesce(btrim(v_payload ->> 'occurred_at'), '') = '' then
        v_payload := v_payload || jsonb_build_object('occurred_at',
            to_char(v_job.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    end if;
    update biz.ai_trigger_jobs j set dedup_key = null where j.id = p_job and j.dedup_key is not null;
    replay := biz.fire_ai_event(v_job.event_type, v_job.site_id, v_job.member_id, v_payload,
        p_forced or v_job.status = 'duplicate', v_job.connector_type);
    update biz.ai_trigger_jobs j set replay_of = p_job, is_forced = p_forced where j.id = replay
        returning case when j.status in ('duplicate', 'failed') then j.status else 'replayed' end into outcome;
end $$;
