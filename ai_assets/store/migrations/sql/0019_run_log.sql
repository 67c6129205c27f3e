-- The run log holds what went wrong in a column of its own; response_text holds answers only.

alter table biz.ai_run_logs add column error_message text check (length(error_message) <= 500);
comment on column biz.ai_run_logs.error_message is
    'what went wrong, redacted; of a refused call, why the guard refused it; null: nothing did';

-- Before, a call without a reply had its error in response_text. Only a reply has a session.
update biz.ai_run_logs g
    set error_message = left(g.response_text, 500), response_text = null
    where g.status in ('failed', 'timeout') and g.session_id is null and g.tokens_out is null
      and g.response_text is not null
      and coalesce(g.reason, '') not in (
          'not_json', 'schema', 'truncated', 'repaired', 'unreadable_answer', 'answer_refused');

drop function biz.ai_end_call(bigint, text, text, text, bigint, bigint, bigint, bigint, boolean, numeric, integer, text,
    text, jsonb, text, jsonb, integer, text, text, double precision, text[], jsonb);

-- Lock order as everywhere; ai_settle, with the hot rows, comes last. settled false: the lease was taken over, and
-- nothing was written. p_result null: the call gave no answer. The run log says which target the answer is of.
create function biz.ai_end_call(
    p_lease bigint,
    -- the run log
    p_status text, p_reason text, p_error text, p_response text, p_tokens_in bigint, p_tokens_out bigint,
    p_tokens_cached bigint, p_tokens bigint, p_estimated boolean, p_cost numeric, p_latency_ms integer, p_session text,
    p_request text, p_checks jsonb,
    -- the cache
    p_cache_type text, p_result jsonb, p_score integer, p_triggered_by text,
    -- the guard: see ai_settle
    p_effect text, p_cooldown_s double precision, p_apps text[], p_limits jsonb,
    out settled boolean, out cache_id bigint, out charged bigint, out opened text[]
) language plpgsql as $$
declare
    v_run_log bigint;
begin
    -- keeps the lease to this transaction's end: nobody takes it over meanwhile
    select l.run_log_id into v_run_log from biz.ai_leases l where l.id = p_lease for update;
    settled := found;
    if not settled then
        return;
    end if;
    if p_result is not null then
        insert into biz.ai_cache (cache_type, site_id, target_id, result_json, score, triggered_by,
                trigger_job_id, run_log_id, prompt_hash)
            select p_cache_type, g.site_id, g.target_id, p_result, p_score, p_triggered_by,
                    g.trigger_job_id, g.id, g.prompt_hash
                from biz.ai_run_logs g where g.id = v_run_log
            returning id into cache_id;
    end if;
    update biz.ai_run_logs g
        set status = p_status, reason = p_reason, error_message = p_error, response_text = p_response,
            tokens_in = p_tokens_in, tokens_out = p_tokens_out, tokens_cached = p_tokens_cached, tokens_used = p_tokens,
            tokens_estimated = p_estimated, cost_cny = p_cost, latency_ms = p_latency_ms, session_id = p_session,
            request_id = p_request, checks = p_checks, finished_at = clock_timestamp()
        where g.id = v_run_log;
    select s.charged, s.opened into charged, opened
        from biz.ai_settle(p_lease, p_effect, p_reason, p_tokens, p_cooldown_s, p_apps, p_limits) s;
end $$;

-- Settle leases whose holder died, in one lock order.
create or replace function biz.ai_reap_leases(p_leases bigint[]) returns integer language plpgsql as $$
declare
    v_leases biz.ai_leases[];
    v_lease  biz.ai_leases;
    v_key    record;
begin
    with dead as (
        delete from biz.ai_leases l where l.id in (
            select d.id from biz.ai_leases d where d.id = any(p_leases) order by d.id for update skip locked)
        returning l)
    select coalesce(array_agg(dead.l order by (dead.l).id), '{}') into v_leases from dead;

    update biz.ai_run_logs g
        set status = 'failed', reason = 'outcome_unknown',
            error_message = 'its process ended, or lost Postgres, before it wrote the result; charged at its estimate',
            tokens_used = l.reserved_tokens, tokens_estimated = true, finished_at = clock_timestamp()
        from unnest(v_leases) l
        where g.id = l.run_log_id and g.status in ('pending', 'running');

    -- several at once only in one lock order over all of them
    for v_key in
        select distinct k.turn, k.scope, k.period
            from unnest(v_leases) l
            cross join lateral biz.ai_budgets_of(l.site_id, l.day, l.month, null) k
            order by k.turn, k.scope, k.period
    loop
        insert into biz.ai_budgets (scope, period) values (v_key.scope, v_key.period) on conflict do nothing;
        perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
    end loop;
    -- their rows are locked by now, so that the order within this loop is no matter
    foreach v_lease in array v_leases loop
        perform biz.ai_settle_tokens(v_lease.site_id, v_lease.day, v_lease.month,
            v_lease.reserved_tokens, v_lease.reserved_tokens, null);
    end loop;
    return cardinality(v_leases);
end $$;
