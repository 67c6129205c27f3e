-- The members' queue: what claiming looks at, and who works on it.

-- Claiming walks a site's members' jobs in this order, whatever else waits. The sites' own have theirs.
create index ai_trigger_jobs_member_queue on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and member_id is not null;
drop index biz.ai_trigger_jobs_pending;
-- The head of a member's queue: only it may be claimed, so that a member's chains run in the order they came.
create index ai_trigger_jobs_of_member on biz.ai_trigger_jobs (site_id, member_id, id)
    where status = 'pending' and member_id is not null;
-- Those that wait for their time: few, beside all that are due.
create index ai_trigger_jobs_later on biz.ai_trigger_jobs (not_before)
    where status = 'pending' and member_id is not null and not_before > '-infinity';
-- Every row passes through pending and running and leaves dead entries there; what share is pending changes by the
-- minute. Both are put right long before a fifth of a million rows has changed.
alter table biz.ai_trigger_jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- What an earlier attempt of a job made is found by its run log.
create index ai_cache_of_run_log on biz.ai_cache (run_log_id);

alter table biz.ai_workers
    -- seconds without a heartbeat after which the worker counts as lost
    add column lease_s double precision not null default 60,
    -- it takes nothing new: it was asked to stop, or its time is over
    add column draining boolean not null default false;
