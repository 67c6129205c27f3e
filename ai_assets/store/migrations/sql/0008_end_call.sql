-- A call's end also records the cached input tokens, which cost less.

-- Of tokens_in, those that came from DashScope's context cache; null: the reply does not say.
alter table biz.ai_run_logs add column tokens_cached bigint;

drop function biz.ai_end_call(bigint, text, text, text, bigint, bigint, bigint, boolean, numeric, integer, text, text,
    jsonb, text, jsonb, integer, text, text, double precision, text[], jsonb);

-- Lock order as everywhere; ai_settle, with the hot rows, comes last. settled false: the lease was taken over, and
-- nothing was written. p_result null: the call gave no answer. The run log says which target the answer is of.
create function biz.ai_end_call(
    p_lease bigint,
    -- the run log
    p_status text, p_reason text, p_response text, p_tokens_in bigint, p_tokens_out bigint, p_tokens_cached bigint,
    p_tokens bigint, p_estimated boolean, p_cost numeric, p_latency_ms integer, p_session text, p_request text, p_checks jsonb,
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
        set status = p_status, reason = p_reason, response_text = p_response, tokens_in = p_tokens_in,
            tokens_out = p_tokens_out, tokens_cached = p_tokens_cached, tokens_used = p_tokens, tokens_estimated = p_estimated, cost_cny = p_cost,
            latency_ms = p_latency_ms, session_id = p_session, request_id = p_request, checks = p_checks,
            finished_at = clock_timestamp()
        where g.id = v_run_log;
    select s.charged, s.opened into charged, opened
        from biz.ai_settle(p_lease, p_effect, p_reason, p_tokens, p_cooldown_s, p_apps, p_limits) s;
end $$;
