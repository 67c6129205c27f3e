-- The tables of the earlier dispatcher, as its code reads and writes them. Types and lengths differ from venue to venue.
create schema biz;
create table biz.ai_trigger_jobs (
    id            bigserial primary key,
    event_type    varchar(50) not null,
    member_id     bigint,
    site_id       bigint not null,
    connector_type varchar(50) default 'feiqiu',
    payload       jsonb,
    app_chain     varchar(100),
    is_forced     boolean default false,
    status        varchar(20) default 'pending',
    error_message text,
    started_at    timestamptz,
    finished_at   timestamptz,
    created_at    timestamptz default now()
);
create table biz.ai_run_logs (
    id             bigserial primary key,
    site_id        bigint not null,
    app_type       varchar(50) not null,
    trigger_type   varchar(20) not null,
    member_id      bigint,
    request_prompt text,
    response_text  text,
    tokens_used    integer,
    latency_ms     integer,
    status         varchar(20) not null,
    error_message  text,
    created_at     timestamptz default now()
);
create table biz.ai_cache (
    id           bigserial primary key,
    cache_type   varchar(50) not null,
    site_id      bigint not null,
    target_id    varchar(100) not null,
    result_json  text not null,
    triggered_by varchar(50),
    score        integer,
    created_at   timestamptz default now()
);
create index ai_cache_newest on biz.ai_cache (cache_type, site_id, target_id, created_at desc);
create table public.member_retention_clue (
    id                       bigserial primary key,
    member_id                bigint not null,
    category                 varchar(50) not null,
    summary                  text not null,
    detail                   text,
    site_id                  bigint not null,
    source                   varchar(20) not null,
    recorded_by_name         varchar(100),
    recorded_by_assistant_id bigint,
    created_at               timestamptz default now()
);
create table biz.sites (site_id bigint);
insert into biz.sites values (1001), (1002);
