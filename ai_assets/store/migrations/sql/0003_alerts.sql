-- Alerts are grouped: the same one of a site, app and kind within a while is one row that counts.

alter table biz.ai_alerts
    add column count       integer not null default 1,
    add column last_at     timestamptz not null default clock_timestamp(),
    -- the run log of its newest repetition; log_id is that of the first
    add column last_log_id bigint;
update biz.ai_alerts set last_at = created_at, last_log_id = log_id;

create index ai_alerts_of_group on biz.ai_alerts
    (alert_type, coalesce(site_id, -1), coalesce(app_type, ''), id desc);

-- Record an alert, or count it on the row of its group that began less than p_window_s ago; returns the row's id.
-- Only the first of a group is told on `ai_alert` (a trigger on insert): a storm is one piece of news.
create function biz.ai_raise_alert(
    p_site bigint, p_app text, p_type text, p_message text, p_log bigint, p_window_s double precision
) returns bigint language plpgsql as $$
declare
    v_id bigint;
begin
    -- one of a group at a time, or two would both find none; held to the end of the transaction, and last in it
    perform pg_advisory_xact_lock(hashtextextended(
        format('ai_alert %s %s %s', p_type, coalesce(p_site, -1), coalesce(p_app, '')), 0));
    update biz.ai_alerts a
        set count = a.count + 1, last_at = clock_timestamp(), last_log_id = coalesce(p_log, a.last_log_id)
        where a.id = (
            select n.id from biz.ai_alerts n
                where n.alert_type = p_type and coalesce(n.site_id, -1) = coalesce(p_site, -1)
                  and coalesce(n.app_type, '') = coalesce(p_app, '')
                order by n.id desc limit 1)
          and a.created_at > clock_timestamp() - make_interval(secs => p_window_s)
        returning a.id into v_id;
    if v_id is null then
        insert into biz.ai_alerts (site_id, app_type, alert_type, message, log_id, last_log_id)
            values (p_site, p_app, p_type, left(p_message, 200), p_log, p_log)
            returning id into v_id;
    end if;
    return v_id;
end $$;
