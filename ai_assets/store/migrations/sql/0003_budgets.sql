-- Budgets: day and month, of all sites and of each. Reserve, settle, warn.

alter table biz.ai_budgets
    -- the share in per cent that was warned of: 0, 80 or 95
    add column warned       smallint not null default 0,
    add column refusal_told boolean not null default false;

-- The budgets of a call, in the order in which their rows are locked: the hottest last. `tokens` is the limit.
create function biz.ai_budgets_of(p_site bigint, p_day text, p_month text, p_limits jsonb)
returns table (turn integer, name text, scope text, period text, tokens bigint, setting text)
language sql immutable as $$
    values
        (1, 'site_month', 'site:' || p_site, p_month, (p_limits ->> 'site_monthly_tokens')::bigint,
            'AI_SITE_MONTHLY_TOKENS'),
        (2, 'site_day', 'site:' || p_site, p_day, (p_limits ->> 'site_daily_tokens')::bigint,
            'AI_SITE_DAILY_TOKENS'),
        (3, 'month', 'all', p_month, (p_limits ->> 'monthly_tokens')::bigint, 'AI_MONTHLY_TOKENS'),
        (4, 'day', 'all', p_day, (p_limits ->> 'daily_tokens')::bigint, 'AI_DAILY_TOKENS')
$$;

-- Lock them in that order; made where missing.
create or replace function biz.ai_lock_budgets(p_site bigint, p_day text, p_month text) returns void
language plpgsql as $$
declare
    v_key record;
begin
    for v_key in select k.scope, k.period from biz.ai_budgets_of(p_site, p_day, p_month, null) k order by k.turn loop
        perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
        if not found then
            insert into biz.ai_budgets (scope, period) values (v_key.scope, v_key.period) on conflict do nothing;
            perform from biz.ai_budgets b where b.scope = v_key.scope and b.period = v_key.period for update;
        end if;
    end loop;
end $$;

-- Reserve tokens for a call in all its budgets, or in none: returns the one that would break (day before month, all
-- before the site's) or null. The first refusal of a budget raises its one alert. Locks the rows.
drop function biz.ai_broken_budget(bigint, text, text, bigint, jsonb);
create function biz.ai_reserve_tokens(p_site bigint, p_day text, p_month text, p_tokens bigint, p_limits jsonb)
returns text language plpgsql as $$
declare
    v_broken record;
begin
    perform biz.ai_lock_budgets(p_site, p_day, p_month);
    select k.*, b.used, b.reserved, b.refusal_told into v_broken
        from biz.ai_budgets_of(p_site, p_day, p_month, p_limits) k
        join biz.ai_budgets b on b.scope = k.scope and b.period = k.period
        where b.used + b.reserved + p_tokens > k.tokens
        order by k.turn desc
        limit 1;
    if not found then
        update biz.ai_budgets b set reserved = b.reserved + p_tokens, updated_at = clock_timestamp()
            where (b.scope = 'all' or b.scope = 'site:' || p_site) and b.period in (p_day, p_month);
        return null;
    end if;
    if not v_broken.refusal_told then
        update biz.ai_budgets b set refusal_told = true
            where b.scope = v_broken.scope and b.period = v_broken.period;
        perform biz.ai_budget_alert('budget_exceeded', v_broken.scope, format(
            'calls are refused: %s of %s tokens of %s%s are used, %s reserved for calls in flight, and one more may need '
                '%s (%s)',
            biz.ai_tokens(v_broken.used), biz.ai_tokens(v_broken.tokens), split_part(v_broken.period, ':', 2),
            case when v_broken.scope = 'all' then '' else ' of the site' end,
            biz.ai_tokens(v_broken.reserved), biz.ai_tokens(p_tokens), v_broken.setting));
    end if;
    return v_broken.name;
end $$;

create function biz.ai_tokens(p_tokens bigint) returns text language sql immutable as $$
    select to_char(p_tokens, 'FM9,999,999,999,999,999,990')
$$;

-- An alert of a budget: never one that counts, for each is raised once. Trouble with it never fails the call.
create function biz.ai_budget_alert(p_type text, p_scope text, p_message text) returns void language plpgsql as $$
begin
    perform biz.ai_raise_alert(
        case when p_scope <> 'all' then split_part(p_scope, ':', 2)::bigint end, null, p_type, p_message, null, 0);
exception when others then
    raise warning 'the alert % could not be recorded: %', p_type, sqlerrm;
end $$;

-- What a call used takes the place of what was reserved for it. p_limits, where given: warn of a budget whose use
-- reaches 80 % or 95 % of its limit, once each.
drop function biz.ai_book_tokens(bigint, text, text, bigint, bigint);
create function biz.ai_settle_tokens(
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
            perform biz.ai_budget_alert('budget_warning', v_told.scope, format(
                '%s %% of the tokens of %s%s are used: %s of %s (%s)',
                v_told.band, split_part(v_told.period, ':', 2),
                case when v_told.scope = 'all' then '' else ' of the site' end,
                biz.ai_tokens(v_told.used), biz.ai_tokens(v_told.tokens), v_told.setting));
        end if;
    end loop;
end $$;
