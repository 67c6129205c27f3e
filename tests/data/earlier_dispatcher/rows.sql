-- Some thousand rows: 60 members with up to 40 versions of each text. Times are a function of the row, and repeat.
insert into biz.ai_trigger_jobs (event_type, member_id, site_id, payload, app_chain, status, error_message, started_at,
    finished_at, created_at)
select (array['consumption', 'note_created', 'task_assigned', 'ai_consumption_settled'])[1 + n % 4], 500 + n % 60, 1001 + n % 2,
    jsonb_build_object('assistant_id', 7, 'number', n), 'app3→app8→app7',
    (array['completed', 'completed', 'failed', 'completed'])[1 + n % 4],
    case when n % 4 = 2 then 'TimeoutError: 超时' end,
    timestamptz '2026-05-01 10:00+08' + n * interval '1 minute', timestamptz '2026-05-01 10:01+08' + n * interval '1 minute',
    timestamptz '2026-05-01 09:59+08' + n * interval '1 minute'
from generate_series(1, 2000) n;
insert into biz.ai_trigger_jobs (event_type, site_id, app_chain, status, created_at) values
    ('dws_completed', 1001, 'app2', 'running', '2026-06-01 03:00+08'),
    ('consumption', 1001, 'unknown', 'pending', '2026-06-01 04:00+08');
insert into biz.ai_run_logs (site_id, app_type, trigger_type, member_id, request_prompt, response_text, tokens_used,
    latency_ms, status, error_message, created_at)
select 1001, (array['app3_clue', 'app8_consolidate', 'app8_consolidation', 'app4_analysis'])[1 + n % 4], 'event', 500 + n % 60,
    '{"prompt": ' || n || '}', case when n % 5 = 0 then '{"clues": []}' end, case when n % 5 = 0 then 1000 + n end, 900,
    (array['success', 'failed', 'failed', 'timeout', 'failed'])[1 + n % 5],
    (array[null, 'circuit_open', 'budget_exceeded:daily_limit', '超时', 'ValueError: 无法解析'])[1 + n % 5],
    timestamptz '2026-05-01 10:00+08' + n * interval '1 minute'
from generate_series(1, 3000) n;
insert into biz.ai_run_logs (site_id, app_type, trigger_type, status) values (1001, 'app2_finance', 'event', 'running');
insert into biz.ai_cache (cache_type, site_id, target_id, result_json, triggered_by, score, created_at)
select t.cache_type, 1001, case t.cache_type when 'app4_analysis' then '7_' else '' end || (500 + n % 60),
    format('{"clues": [{"category": "客户基础", "summary": "第 %s 版"}], "n": %s}', n, n), 'consumption',
    case when t.cache_type = 'app6_note_analysis' then 1 + n % 10 end,
    -- three versions a minute: of the same instant, the higher id is the newer
    timestamptz '2026-05-01 10:00+08' + (n / 180) * interval '1 minute'
from generate_series(1, 1000) n,
    unnest(array['app3_clue', 'app6_note_analysis', 'app8_clue_consolidated', 'app4_analysis']) t (cache_type);
insert into public.member_retention_clue (member_id, category, summary, detail, site_id, source, recorded_by_name,
    recorded_by_assistant_id, created_at)
select 500 + n % 60, '消费习惯', '线索 ' || n, case when n % 3 = 0 then '细节' end, 1001,
    (array['ai_consumption', 'ai_note', 'manual'])[1 + n % 3], '小李', case when n % 3 = 2 then 7 end,
    timestamptz '2026-05-01 10:00+08' + n * interval '1 minute'
from generate_series(1, 1500) n;
