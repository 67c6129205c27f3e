-- The guard's state. All of it is safe to empty while nothing runs.

create table biz.ai_breakers (
    app_type       text primary key,
    state          text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
    -- every change of state begins an epoch; results of an earlier one change nothing
    epoch          bigint not null default 1,
    -- how often it opened again since it was last closed: the open time doubles with each
    relapses       integer not null default 0,
    open_until     timestamptz,
    probes_passed  integer not null default 0,
    reason         text,
    changed_at     timestamptz not null default clock_timestamp(),
    -- DashScope said "too many": no call of this app before then
    cooldown_until timestamptz
);

-- What the failure share is counted over: a tenth of the window a row.
create table biz.ai_breaker_outcomes (
    app_type text not null,
    epoch    bigint not null,
    bucket   timestamptz not null,
    passed   integer not null default 0,
    failed   integer not null default 0,
    primary key (app_type, epoch, bucket)
);

-- Places in a site's rate are numbered; whether one is free is one look at the place N numbers earlier.
create table biz.ai_rate_limits (
    site_id          bigint primary key,
    last_place       bigint not null default 0,
    last_batch_place bigint not null default 0,
    swept_place      bigint not null default 0
);
create table biz.ai_rate_places (
    site_id     bigint not null,
    place       bigint not null,
    batch_place bigint,
    taken_at    timestamptz not null,
    primary key (site_id, place)
);
create unique index ai_rate_places_of_batches on biz.ai_rate_places (site_id, batch_place)
    where batch_place is not null;

create table biz.ai_budgets (
    -- 'all' or 'site:1001'
    scope      text not null,
    -- 'day:2026-01-31' or 'month:2026-01', in AI_TIMEZONE
    period     text not null,
    used       bigint not null default 0,
    reserved   bigint not null default 0,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (scope, period)
);

create table biz.ai_leases (
    id              bigint generated always as identity primary key,
    app_type        text not null,
    site_id         bigint not null,
    target_id       text not null,
    run_log_id      bigint,
    reserved_tokens bigint not null default 0,
    is_probe        boolean not null default false,
    epoch           bigint not null default 0,
    day             text not null,
    month           text not null,
    admitted_at     timestamptz not null default clock_timestamp(),
    expires_at      timestamptz not null
);
-- One call of a target at a time: what single flight waits for.
create unique index ai_leases_of_target on biz.ai_leases (app_type, site_id, target_id);
create index ai_leases_expiring on biz.ai_leases (expires_at);
create index ai_leases_probes on biz.ai_leases (app_type, epoch) where is_probe;
