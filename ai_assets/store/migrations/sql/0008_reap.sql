-- Settle up to 100 leases that ended; returns how many. One that another is settling at this moment is left to it.
create or replace function biz.ai_reap_expired() returns integer language plpgsql as $$
declare
    v_leases bigint[];
    v_now    timestamptz;
begin
    perform biz.ai_follow_clock();
    v_now := biz.ai_now();
    select array_agg(e.id) into v_leases from (
        select l.id from biz.ai_leases l where l.expires_at < v_now
            order by l.expires_at limit 100 for update skip locked) e;
    return case when v_leases is null then 0 else biz.ai_reap_leases(v_leases) end;
end $$;
