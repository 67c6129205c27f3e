-- The data contract: the tables that others own and this project only reads.
-- A real installation has them (views suffice); the samples make them where they are missing.
-- Columns and meaning: docs/data-contract.md. Amounts in yuan; biz_date is the site's business date.

create schema if not exists biz;
create schema if not exists dws;

create table if not exists biz.sites (
    site_id   bigint primary key,
    name      text not null,
    timezone  text not null default 'Asia/Shanghai',
    is_active boolean not null default true
);

create table if not exists biz.members (
    site_id       bigint not null,
    member_id     bigint not null,
    name          text not null,
    nickname      text,
    gender        text,
    phone         text,
    level         text,
    birthday      date,
    balance       numeric(14, 2),
    registered_at timestamptz,
    primary key (site_id, member_id)
);

create table if not exists biz.assistants (
    site_id      bigint not null,
    assistant_id bigint not null,
    name         text not null,
    level        text,
    primary key (site_id, assistant_id)
);

create table if not exists biz.member_notes (
    note_id       bigint primary key,
    site_id       bigint not null,
    member_id     bigint not null,
    content       text,
    noted_by_name text,
    created_at    timestamptz not null
);
create index if not exists member_notes_of_member on biz.member_notes (site_id, member_id, created_at);

create table if not exists biz.assistant_tasks (
    task_id      bigint primary key,
    site_id      bigint not null,
    assistant_id bigint not null,
    member_id    bigint not null,
    task_type    text,
    status       text,
    created_at   timestamptz not null
);
create index if not exists assistant_tasks_of_pair
    on biz.assistant_tasks (site_id, assistant_id, member_id, created_at);

create table if not exists dws.finance_area_daily (
    site_id       bigint not null,
    biz_date      date not null,
    area          text not null,
    table_fee     numeric(14, 2),
    assistant_fee numeric(14, 2),
    goods_fee     numeric(14, 2),
    other_fee     numeric(14, 2),
    discount      numeric(14, 2),
    net_revenue   numeric(14, 2),
    orders        integer,
    guests        integer,
    play_minutes  integer,
    primary key (site_id, biz_date, area)
);

create table if not exists dws.finance_site_daily (
    site_id         bigint not null,
    biz_date        date not null,
    recharge_amount numeric(14, 2),
    recharge_count  integer,
    balance_spent   numeric(14, 2),
    new_members     integer,
    active_members  integer,
    primary key (site_id, biz_date)
);

create table if not exists dws.settlement (
    settlement_id bigint primary key,
    site_id       bigint not null,
    member_id     bigint,
    assistant_id  bigint,
    settled_at    timestamptz not null,
    biz_date      date not null,
    area          text not null,
    table_fee     numeric(14, 2),
    assistant_fee numeric(14, 2),
    goods_fee     numeric(14, 2),
    discount      numeric(14, 2),
    paid          numeric(14, 2),
    play_minutes  integer
);
create index if not exists settlement_of_member on dws.settlement (site_id, member_id, settled_at);

create table if not exists dws.etl_batch (
    batch_id    bigint primary key,
    site_id     bigint not null,
    biz_date    date not null,
    status      text not null,
    finished_at timestamptz
);
create index if not exists etl_batch_of_site on dws.etl_batch (site_id, finished_at);
