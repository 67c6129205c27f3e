-- What the gateway keeps: who may come in, what was told and in which order, what was sent once already, and what
-- apps were run for whom.

create table biz.ai_tokens (
    id         bigint generated always as identity primary key,
    name       text not null check (length(name) between 1 and 200),
    role       text not null check (role in ('read', 'send', 'operate')),
    -- null: every site
    site_ids   bigint[] check (cardinality(site_ids) > 0),
    -- SHA-256 of the secret part; the token itself is shown once and kept nowhere
    hash       bytea not null check (octet_length(hash) = 32),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Alerts and cache news in the order in which they were committed: whoever has read up to an id has missed none
-- below it. The ids of alerts and of the cache are no such order: a lower one may be committed after a higher one.
create table biz.ai_news (
    id      bigint primary key,
    channel text not null,
    site_id bigint,
    content jsonb not null,
    told_at timestamptz not null default clock_timestamp()
);
create sequence biz.ai_news_id owned by biz.ai_news.id;
create index ai_news_of_site on biz.ai_news (channel, site_id, id);
create index ai_news_told on biz.ai_news (told_at);

-- At the commit (deferred), so that the lock is held for no longer than Postgres' own for NOTIFY, which the same
-- transactions take a moment later. Trouble with news never fails what they are of.
create function biz.ai_keep_news() returns trigger language plpgsql as $$
declare
    v_channel text;
    v_content jsonb;
begin
    if tg_table_name = 'ai_alerts' then
        v_channel := 'ai_alert';
        v_content := jsonb_build_object('alert_id', new.id, 'site_id', new.site_id, 'app_type', new.app_type,
            'alert_type', new.alert_type, 'message', new.message, 'log_id', new.log_id,
            'created_at', new.created_at);
    else
        v_channel := 'ai_cache_updated';
        v_content := jsonb_build_object('cache_id', new.id, 'site_id', new.site_id, 'cache_type', new.cache_type,
            'target_id', new.target_id, 'triggered_by', new.triggered_by, 'created_at', new.created_at);
    end if;
    -- to the end of the commit: whoever sees a number then sees every lower one
    perform pg_advisory_xact_lock(hashtextextended('ai_assets.news', 0));
    insert into biz.ai_news (id, channel, site_id, content)
        values (nextval('biz.ai_news_id'), v_channel, new.site_id, v_content);
    return null;
exception when others then
    raise warning 'no news of % %: %', tg_table_name, new.id, sqlerrm;
    return null;
end $$;

create constraint trigger ai_alerts_news after insert on biz.ai_alerts
    deferrable initially deferred for each row execute function biz.ai_keep_news();
create constraint trigger ai_cache_news after insert on biz.ai_cache
    deferrable initially deferred for each row execute function biz.ai_keep_news();

-- What was answered to a request that named a key, so that sending it again gives the same answer.
create table biz.ai_idempotency_keys (
    token_id   bigint not null,
    key        text not null check (length(key) between 1 and 255),
    -- SHA-256 of what was asked
    asked      bytea not null,
    answer     jsonb,
    created_at timestamptz not null default clock_timestamp(),
    primary key (token_id, key)
);
create index ai_idempotency_keys_created on biz.ai_idempotency_keys (created_at);

-- One app for one subject, asked for over HTTP. Running past its expiry: the process that ran it is gone.
create table biz.ai_app_runs (
    id          bigint generated always as identity primary key,
    token_id    bigint not null,
    app         text not null,
    site_id     bigint not null,
    status      text not null default 'running'
        check (status in ('running', 'success', 'reused', 'failed', 'timeout', 'refused')),
    reason      text,
    message     text,
    target_id   text,
    run_log_id  bigint,
    cache_id    bigint,
    clues_set   integer,
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz not null,
    finished_at timestamptz
);
create index ai_app_runs_created on biz.ai_app_runs (created_at);
