-- Claiming members' jobs for a worker. Only the head of a member's queue (its lowest pending id) is to be had,
-- and only while no chain of the member runs. SKIP LOCKED and try-locks: claimers never wait for each other.

-- The heads that may run now of one site, at most p_wanted, forced first and then older; p_missed are heads that
-- were not to be had a moment ago. A forced job behind an older one of its member lends the head its priority.
-- Statistics of a queue are always old: the settings hold every plan to the queue's own indexes.
create function biz.ai_member_heads(p_site bigint, p_wanted integer, p_missed bigint[]) returns bigint[]
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off
as $$
declare
    v_heads  bigint[] := '{}';
    v_seen   bigint[];
    v_forced boolean;
    v_after  bigint;
    v_rows   integer;
    v_job    record;
    v_head   record;
begin
    -- a member whose chain runs is passed over, with all that waits behind it
    select coalesce(array_agg(b.member_id), '{}') into v_seen from (
        select j.member_id from biz.ai_trigger_jobs j
            where j.status = 'running' and j.site_id = p_site and j.member_id is not null
        union all
        select j.member_id from biz.ai_trigger_jobs j where j.id = any(p_missed) and j.site_id = p_site) b;
    foreach v_forced in array array[true, false] loop
        v_after := 0;
        loop
            v_rows := 0;
            for v_job in
                select j.id, j.member_id from biz.ai_trigger_jobs j
                    where j.status = 'pending' and j.member_id is not null and j.site_id = p_site
                      and j.is_forced = v_forced and j.id > v_after and j.member_id <> all(v_seen)
                    order by j.id
                    limit 2 * p_wanted
            loop
                v_rows := v_rows + 1;
                v_after := v_job.id;
                continue when v_job.member_id = any(v_seen);
                v_seen := v_seen || v_job.member_id;
                select j.id, j.not_before into v_head from biz.ai_trigger_jobs j
                    where j.status = 'pending' and j.site_id = p_site and j.member_id = v_job.member_id
                    order by j.id
                    limit 1;
                if v_head.not_before <= clock_timestamp() then
                    v_heads := v_heads || v_head.id;
                    if cardinality(v_heads) >= p_wanted then
                        return v_heads;
                    end if;
                end if;
            end loop;
            exit when v_rows < 2 * p_wanted;
        end loop;
    end loop;
    return v_heads;
end $$;

-- Take one head; false where it is not to be had any more: claimed by another, or no head now.
create function biz.ai_claim_head(p_job bigint, p_owner text, p_run_id text, p_lease_s double precision)
returns boolean language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
declare
    v_job record;
begin
    select j.site_id, j.member_id into v_job from biz.ai_trigger_jobs j
        where j.id = p_job and j.status = 'pending' and j.not_before <= clock_timestamp()
        for no key update skip locked;
    if not found then
        return false;
    end if;
    -- an older job of the member may have been committed in between: two claimers each with its own head of one
    -- member would wait for each other at the unique index, several members crosswise until a deadlock
    if not pg_try_advisory_xact_lock(
            hashtextextended('ai_assets.chain:' || v_job.site_id || ':' || v_job.member_id, 0)) then
        return false;
    end if;
    -- looked at again: what was seen while walking the queue is older than the locks
    perform from biz.ai_trigger_jobs j
        where j.status = 'running' and j.site_id = v_job.site_id and j.member_id = v_job.member_id;
    if found then
        return false;
    end if;
    perform from biz.ai_trigger_jobs j
        where j.status = 'pending' and j.site_id = v_job.site_id and j.member_id = v_job.member_id and j.id < p_job;
    if found then
        return false;
    end if;
    begin
        update biz.ai_trigger_jobs j
            set status = 'running', attempts = j.attempts + 1, lease_owner = p_owner, run_id = p_run_id,
                lease_until = clock_timestamp() + make_interval(secs => p_lease_s),
                started_at = coalesce(j.started_at, clock_timestamp()), finished_at = null, error_message = null
            where j.id = p_job;
    exception when unique_violation then
        -- a job of the member that was claimed by its id, at this instant
        return false;
    end;
    return true;
end $$;

-- Whether a site's rate has room for one more chain beside those that run: five calls are set aside for each, the most
-- that a chain has. A chain that began without would wait for a place longer than a call may, and be refused; in the
-- inbox it waits and loses nothing. p_rate: calls a minute and site; null: not asked.
create function biz.ai_site_has_room(p_site bigint, p_running bigint, p_rate integer) returns boolean
language sql stable as $$
    select p_rate is null or (
        -- one chain may always run, however low the rate
        (p_running = 0 or 5 * (p_running + 1) <= p_rate)
        -- the last of those calls will have the place so many after the newest: it is free when the one that is
        -- p_rate before it is a minute old (places are numbered, see ai_rate_wait)
        and not exists (
            select from biz.ai_rate_limits r
            join biz.ai_rate_places p
                on p.site_id = r.site_id and p.place = r.last_place + least(5 * (p_running + 1), p_rate) - p_rate
            where r.site_id = p_site and p.taken_at > clock_timestamp() - interval '60 s'))
$$;

-- Up to p_limit jobs for a worker. Fair over sites: what counts is how many chains of the site run already plus
-- the place in its queue; ties go round robin, beginning with the first site after p_after_site.
create function biz.ai_claim_member_jobs(
    p_owner text, p_run_id text, p_lease_s double precision, p_limit integer, p_after_site bigint,
    p_rate integer default null
) returns setof biz.ai_trigger_jobs language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
declare
    v_left    integer;
    v_sites   bigint[];
    -- chains of each site that run, those claimed here too; null: nothing more is to be had of it
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
            where j.status = 'pending' and j.member_id is not null order by j.site_id limit 1)
        union all
        select (select j.site_id from biz.ai_trigger_jobs j
            where j.status = 'pending' and j.member_id is not null and j.site_id > s.site_id
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
        -- who gets what is left if every site has enough; what a site has not goes to the others in the next round
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
