-- Settings that every process must share, so that SQL reads them. `ai-assets db upgrade` stores them.

create table biz.ai_settings (
    name       text primary key,
    value      text not null,
    changed_at timestamptz not null default clock_timestamp()
);
insert into biz.ai_settings (name, value) values ('timezone', 'Asia/Shanghai');

-- The IANA zone in which the days and months of budgets turn.
create function biz.ai_timezone() returns text language sql stable as $$
    select coalesce((select s.value from biz.ai_settings s where s.name = 'timezone'), 'Asia/Shanghai')
$$;
