-- Alerts of budgets: a refusal names the site and app that it is of.

-- On a site's row of a period: the budgets of that period, also those of all sites, whose first refusal of a call of
-- this site was alerted.
alter table biz.ai_budgets drop column refusal_told, add column refusals_told text[] not null default '{}';

drop function biz.ai_budget_alert(text, text, text, text);
-- An alert of a budget: never one that counts, for each is raised once. An error in it is logged and never fails the
-- call. p_app, p_site: what is its one cause, else null.
create function biz.ai_budget_alert(p_site bigint, p_app text, p_kind text, p_values jsonb) returns void
language plpgsql as $$
begin
    perform biz.ai_alert(p_site, p_app, p_kind, p_values, null, 0);
exception when others then
    raise warning 'the alert % could not be recorded: %', p_kind, sqlerrm;
end $$;

-- Reserve tokens for a call in all its budgets, or in none. Returns the budget that refuses it (day before month, all
-- before the site's), or null. The first refusal of a site by a budget in its period raises an alert. Locks the rows.
-- A budget with nothing used and nothing reserved admits one call whatever its estimate: an estimate that is wrong
-- must not refuse calls for ever.
create or replace function biz.ai_reserve_tokens(
    p_app text, p_site bigint, p_day text, p_month text, p_tokens bigint, p_limits jsonb
) returns text language plpgsql as $$
declare
    v_broken record;
    v_live   bigint;
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    loop
        select k.*, b.used, b.reserved into v_broken
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
    update biz.ai_budgets b set refusals_told = b.refusals_told || v_broken.name
        where b.scope = 'site:' || p_site and b.period = v_broken.period and v_broken.name <> all(b.refusals_told);
    if found then
        perform biz.ai_budget_alert(p_site, p_app,
            'budget_exceeded:' || case when p_tokens > v_broken.tokens then 'too_large' else v_broken.name end, null);
    end if;
    return v_broken.name;
end $$;

-- What a call used takes the place of what was reserved for it. p_limits, where given: warn of a budget whose use
-- reaches 80 % or 95 % of its limit, once each.
create or replace function biz.ai_settle_tokens(
    p_site bigint, p_day text, p_month text, p_used bigint, p_reserved bigint, p_limits jsonb
) returns void language plpgsql as $$
declare
    v_told record;
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    update biz.ai_budgets b
        set used = b.used + p_used, reserved = greatest(0, b.reserved - p_reserved), updated_at = clock_timestamp()
        where (b.scope = 'all' or b.scope = 'site:' || p_site) and b.period in (p_day, p_month);
    for v_told in
        select k.*, b.used, b.warned,
                case when b.used >= k.tokens * 0.95 then 95 when b.used >= k.tokens * 0.8 then 80 else 0 end as band
            from biz.ai_budgets_of(p_site, p_day, p_month, p_limits) k
            join biz.ai_budgets b on b.scope = k.scope and b.period = k.period
            where k.tokens is not null
            order by k.turn
    loop
        -- a limit that was raised takes its warnings back
        if v_told.band <> v_told.warned then
            update biz.ai_budgets b set warned = v_told.band
                where b.scope = v_told.scope and b.period = v_told.period;
        end if;
        if v_told.band > v_told.warned then
            -- what all sites used together has no one site as its cause, and no budget one app
            perform biz.ai_budget_alert(case when v_told.scope <> 'all' then p_site end, null,
                'budget_warning:' || v_told.name, jsonb_build_object('percent', v_told.band));
        end if;
    end loop;
end $$;
