-- Budgets: what a call is estimated at, and reserving it.

-- Successes up to this run log id do not count for an app's estimate: an operator reset it. No row: all count.
create table biz.ai_estimates (
    app_type      text primary key,
    after_run_log bigint not null
);

-- Tokens to reserve for a call of p_app: the 90th percentile of its 20 newest successes with known usage. What is
-- missing of the 20 counts as the first estimate, the prompt's characters + 1,500, or as the most that was used if that
-- is less. So no one or two calls, however large, decide an estimate. It is at most the prompt's characters + p_most, which is what a model can take in and give
-- out beside the prompt. It is at least 1: two calls must not both see an empty budget.
-- PL/pgSQL with one statement: each further one would be felt by every admission.
create function biz.ai_estimate(p_app text, p_prompt_chars bigint, p_most bigint) returns bigint
language plpgsql stable as $$
declare
    -- the newest successes, the largest first
    v_used  bigint[];
    -- what is missing of the 20 counts as this
    v_first bigint;
    v_third bigint;
begin
    v_used := array(
        select u.tokens_used from (
            select g.tokens_used from biz.ai_run_logs g
                where g.app_type = p_app and g.status = 'success' and not g.tokens_estimated
                  and -g.id < coalesce((select -e.after_run_log from biz.ai_estimates e where e.app_type = p_app), 0)
                order by -g.id limit 20) u
            order by u.tokens_used desc nulls last);
    v_first := least(p_prompt_chars + 1500, v_used[1]);
    -- the third largest of the 20 is their 90th percentile
    v_third := case 20 - cardinality(v_used)
        when 0 then v_used[3]
        when 1 then greatest(v_used[3], least(v_used[2], v_first))
        else greatest(v_used[3], v_first) end;
    return least(greatest(1, v_third), p_prompt_chars + p_most);
end $$;

-- Forget what an app's calls used so far: the next ones are estimated as if it had never been called. The history of
-- the breakers records it, with p_by.
create function biz.ai_reset_estimate(p_app text, p_by text, p_reason text) returns void language plpgsql as $$
begin
    insert into biz.ai_estimates (app_type, after_run_log)
        values (p_app, coalesce((select max(g.id) from biz.ai_run_logs g), 0))
        on conflict (app_type) do update set after_run_log = excluded.after_run_log;
    insert into biz.ai_breakers (app_type) values (p_app) on conflict do nothing;
    insert into biz.ai_breaker_changes (app_type, state_before, state_after, epoch, relapses, reason, changed_by,
            open_until)
        select b.app_type, b.state, b.state, b.epoch, b.relapses, concat_ws(': ', 'estimate reset', p_reason), p_by,
                b.open_until
            from biz.ai_breakers b where b.app_type = p_app;
end $$;

drop function biz.ai_budget_alert(text, text, text);
-- An alert of a budget: never one that counts, for each is raised once. An error in it is logged and never fails the
-- call. p_app: the app that is its one cause, else null.
create function biz.ai_budget_alert(p_type text, p_scope text, p_message text, p_app text default null) returns void
language plpgsql as $$
begin
    perform biz.ai_raise_alert(
        case when p_scope <> 'all' then split_part(p_scope, ':', 2)::bigint end, p_app, p_type, p_message, null, 0);
exception when others then
    raise warning 'the alert % could not be recorded: %', p_type, sqlerrm;
end $$;

-- Reserve tokens for a call in all its budgets, or in none. Returns the budget that refuses it (day before month, all
-- before the site's), or null. The first refusal of a budget raises its one alert. Locks the rows.
-- A budget with nothing used and nothing reserved admits one call whatever its estimate: an estimate that is wrong
-- must not refuse calls for ever.
drop function biz.ai_reserve_tokens(bigint, text, text, bigint, jsonb);
create function biz.ai_reserve_tokens(
    p_app text, p_site bigint, p_day text, p_month text, p_tokens bigint, p_limits jsonb
) returns text language plpgsql as $$
declare
    v_broken record;
    v_live   bigint;
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    loop
        select k.*, b.used, b.reserved, b.refusal_told into v_broken
            from biz.ai_budgets_of(p_site, p_day, p_month, p_limits) k
            join biz.ai_budgets b on b.scope = k.scope and b.period = k.period
            where b.used + b.reserved > 0 and b.used + b.reserved + p_tokens > k.tokens
            order by k.turn desc
            limit 1;
        if not found then
            update biz.ai_budgets b set reserved = b.reserved + p_tokens, updated_at = clock_timestamp()
                where (b.scope = 'all' or b.scope = 'site:' || p_site) and b.period in (p_day, p_month);
            return null;
        end if;
        -- leases may have been emptied without budgets: only what a lease reserves refuses a call. The budget's row is
        -- locked, so leases and reservations agree here.
        select coalesce(sum(l.reserved_tokens), 0) into v_live from biz.ai_leases l
            where v_broken.period in (l.day, l.month)
              and v_broken.scope in ('all', 'site:' || l.site_id);
        exit when v_live >= v_broken.reserved;
        update biz.ai_budgets b set reserved = v_live
            where b.scope = v_broken.scope and b.period = v_broken.period;
    end loop;
    if not v_broken.refusal_told then
        update biz.ai_budgets b set refusal_told = true
            where b.scope = v_broken.scope and b.period = v_broken.period;
        if p_tokens > v_broken.tokens then
            perform biz.ai_budget_alert('budget_exceeded', v_broken.scope, format(
                '%s may need %s tokens a call, more than the budget of %s%s (%s). Raise %s, or run: ai-assets guard '
                    'reset-estimate %s',
                p_app, biz.ai_tokens(p_tokens), split_part(v_broken.period, ':', 2),
                case when v_broken.scope = 'all' then '' else ' of the site' end, biz.ai_tokens(v_broken.tokens),
                v_broken.setting, p_app), p_app);
        else
            perform biz.ai_budget_alert('budget_exceeded', v_broken.scope, format(
                'calls are refused: %s of %s tokens of %s%s are used, %s reserved, one more may need %s. Raise %s, or '
                    'wait for the next %s',
                biz.ai_tokens(v_broken.used), biz.ai_tokens(v_broken.tokens), split_part(v_broken.period, ':', 2),
                case when v_broken.scope = 'all' then '' else ' of the site' end,
                biz.ai_tokens(v_broken.reserved), biz.ai_tokens(p_tokens), v_broken.setting,
                split_part(v_broken.period, ':', 1)));
        end if;
    end if;
    return v_broken.name;
end $$;
