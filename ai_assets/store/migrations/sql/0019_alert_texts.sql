-- What an alert says: the one place where all sentences of both languages are. A venue's staff reads them: each says
-- what happened and what to do, in at most 200 characters, without personal data.

-- A kind is an alert type, or a type and a case of it (`failed:data`). A case without a sentence of its own has its
-- type's. {app} is the app's title; other names in braces are values that whoever raises the alert gives.
create function biz.ai_alert_texts() returns table (kind text, zh text, en text) language sql immutable as $$
    values
        ('failed',
            '「{app}」这次没有生成新内容，页面仍显示上一次的结果。请稍后重新生成；如果多次出现，请联系技术人员。',
            '{app}: no new result this time; the page still shows the previous one. Try again later. If it happens often, '
                'contact technical support.'),
        ('failed:answer',
            '「{app}」这次返回的内容不符合要求，没有采用，页面仍显示上一次的结果。请稍后重新生成；如果多次出现，请联系技术人员。',
            '{app}: the new result was not usable and was discarded; the page still shows the previous one. Try again '
                'later. If it happens often, contact technical support.'),
        ('failed:data',
            '「{app}」需要的营业或会员数据缺失或有误，没有生成新内容。请检查门店数据；如果数据没有问题，请联系技术人员。',
            '{app}: business or member data is missing or wrong, so there is no new result. Check the data of the venue; '
                'if it is correct, contact technical support.'),
        ('timeout',
            '「{app}」等待时间过长，这次没有生成新内容，页面仍显示上一次的结果。请稍后重新生成；如果多次出现，请联系技术人员。',
            '{app}: it took too long, so there is no new result; the page still shows the previous one. Try again later. '
                'If it happens often, contact technical support.'),
        ('timeout:event',
            '一次业务事件的AI处理时间过长，已经停止（任务编号{job}）。已生成的内容保留。请联系技术人员。',
            'AI processing of a business event took too long and was stopped (job {job}). Finished results are kept. '
                'Contact technical support.'),
        ('circuit_open',
            '「{app}」连续出错，已自动暂停，稍后自动恢复，暂停期间显示上一次的结果。无需处理；如果一小时后仍未恢复，请联系技术人员。',
            '{app}: paused after repeated errors. It resumes automatically; until then the page shows the previous '
                'results. If it has not resumed after an hour, contact technical support.'),
        ('circuit_open:until_closed',
            '「{app}」已停用，页面显示上一次的结果。需要技术人员恢复，请联系技术人员。',
            '{app}: switched off; the page shows the previous results. Contact technical support to switch it on again.'),
        ('rate_limited',
            '当前AI请求过多，「{app}」这次没有运行。请几分钟后重新生成；如果经常出现，请联系技术人员。',
            '{app}: too many AI requests at the moment, so it did not run. Try again in a few minutes. If it happens '
                'often, contact technical support.'),
        ('budget_exceeded',
            'AI用量已达上限，「{app}」等功能已暂停，页面显示上一次的结果。如需恢复，请联系技术人员。',
            '{app} and other AI features are paused: the AI usage limit is reached. The page shows the previous results. '
                'Contact technical support to resume.'),
        ('budget_exceeded:day',
            '全部门店今天的AI用量已达上限，本店的「{app}」等功能已暂停，明天自动恢复。如需提前恢复，请联系技术人员。',
            '{app} and other AI features are paused until tomorrow: all venues together reached today''s AI usage limit. '
                'To resume earlier, contact technical support.'),
        ('budget_exceeded:month',
            '全部门店本月的AI用量已达上限，本店的「{app}」等功能已暂停，下月自动恢复。如需提前恢复，请联系技术人员。',
            '{app} and other AI features are paused until next month: all venues together reached this month''s AI usage '
                'limit. To resume earlier, contact technical support.'),
        ('budget_exceeded:site_day',
            '本店今天的AI用量已达上限，「{app}」等功能已暂停，明天自动恢复。如需提前恢复，请联系技术人员。',
            '{app} and other AI features are paused until tomorrow: this venue reached today''s AI usage limit. To resume '
                'earlier, contact technical support.'),
        ('budget_exceeded:site_month',
            '本店本月的AI用量已达上限，「{app}」等功能已暂停，下月自动恢复。如需提前恢复，请联系技术人员。',
            '{app} and other AI features are paused until next month: this venue reached this month''s AI usage limit. To '
                'resume earlier, contact technical support.'),
        ('budget_exceeded:too_large',
            '「{app}」运行一次的预计用量就超过了AI用量上限，因此没有运行。请联系技术人员调整上限。',
            '{app} did not run: a single run is expected to need more than the AI usage limit. Contact technical support '
                'to adjust the limit.'),
        ('budget_warning',
            'AI用量已达上限的{percent}%。用完后AI功能会暂停；如需提高上限，请联系技术人员。',
            '{percent}% of the AI usage limit is used. AI features pause when it is used up. To raise the limit, contact '
                'technical support.'),
        ('budget_warning:day',
            '全部门店今天的AI用量已达上限的{percent}%。用完后AI功能会暂停到明天；如需提高上限，请联系技术人员。',
            'All venues together used {percent}% of today''s AI usage limit. AI features pause until tomorrow when it is '
                'used up. To raise it, contact technical support.'),
        ('budget_warning:month',
            '全部门店本月的AI用量已达上限的{percent}%。用完后AI功能会暂停到下月；如需提高上限，请联系技术人员。',
            'All venues together used {percent}% of this month''s AI usage limit. AI features pause until next month when '
                'it is used up. To raise it, contact technical support.'),
        ('budget_warning:site_day',
            '本店今天的AI用量已达上限的{percent}%。用完后AI功能会暂停到明天；如需提高上限，请联系技术人员。',
            'This venue used {percent}% of today''s AI usage limit. AI features pause until tomorrow when it is used up. '
                'To raise it, contact technical support.'),
        ('budget_warning:site_month',
            '本店本月的AI用量已达上限的{percent}%。用完后AI功能会暂停到下月；如需提高上限，请联系技术人员。',
            'This venue used {percent}% of this month''s AI usage limit. AI features pause until next month when it is '
                'used up. To raise it, contact technical support.'),
        ('app_blocked',
            '「{app}」的AI服务账号或设置被拒绝，功能已停用，页面显示上一次的结果。请尽快联系技术人员。',
            '{app}: the AI service rejected the account or its settings, so it is switched off; the page shows the previous '
                'results. Contact technical support soon.'),
        ('bad_batch',
            '一批营业数据的日期（{date}）晚于明天，没有使用，仍使用之前的数据。请联系技术人员更正日期。',
            'A batch of business data is dated {date}, later than tomorrow, and is not used; earlier data is used. Contact '
                'technical support to correct the date.'),
        ('dead',
            '一次业务事件的AI处理多次中断，已经放弃（任务编号{job}）。已有的内容保留。请联系技术人员。',
            'AI processing of a business event was interrupted repeatedly and was given up (job {job}). Existing results '
                'are kept. Contact technical support.')
$$;

-- What staff calls an app; one that is missing here is called by its name.
create function biz.ai_app_titles() returns table (app text, zh text, en text) language sql immutable as $$
    values
        ('app2_finance', '经营洞察', 'Finance insights'),
        ('app2a_finance_area', '区域经营洞察', 'Finance insights by area'),
        ('app3_clue', '会员线索', 'Member clues'),
        ('app4_analysis', '会员关系分析', 'Member relationship analysis'),
        ('app5_tactics', '沟通话术', 'Conversation tips'),
        ('app6_note', '备注分析', 'Note analysis'),
        ('app7_customer', '客户分析', 'Customer analysis'),
        ('app8_consolidation', '线索整合', 'Merged member clues')
$$;

-- The language of alerts, zh or en, as `ai-assets db upgrade` stored it.
create function biz.ai_alert_language() returns text language sql stable as $$
    select coalesce((select s.value from biz.ai_settings s where s.name = 'alert_language'), 'zh')
$$;

-- The sentence of an alert in the stored language. p_app null: several apps, or none, are its cause.
create function biz.ai_alert_message(p_kind text, p_app text, p_values jsonb) returns text
language plpgsql stable as $$
declare
    v_en   boolean := biz.ai_alert_language() = 'en';
    v_text text;
    v_value record;
begin
    select case when v_en then t.en else t.zh end into v_text
        from biz.ai_alert_texts() t
        where t.kind in (p_kind, split_part(p_kind, ':', 1))
        order by t.kind = p_kind desc
        limit 1;
    v_text := replace(coalesce(v_text, p_kind), '{app}', coalesce(
        (select case when v_en then t.en else t.zh end from biz.ai_app_titles() t where t.app = p_app),
        p_app, case when v_en then 'AI' else 'AI功能' end));
    for v_value in select * from jsonb_each_text(coalesce(p_values, '{}')) loop
        v_text := replace(v_text, '{' || v_value.key || '}', coalesce(v_value.value, '?'));
    end loop;
    return left(v_text, 200);
end $$;

-- Raise an alert of this kind, or count it on the row of its site, app and type (see ai_raise_alert).
create function biz.ai_alert(
    p_site bigint, p_app text, p_kind text, p_values jsonb, p_log bigint, p_window_s double precision
) returns bigint language sql as $$
    select biz.ai_raise_alert(p_site, p_app, split_part(p_kind, ':', 1),
        biz.ai_alert_message(p_kind, p_app, p_values), p_log, p_window_s)
$$;
