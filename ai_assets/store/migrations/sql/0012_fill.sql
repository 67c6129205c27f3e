-- Trigger jobs of type manual: work that a person queued, in any number, behind the live events.

create index ai_trigger_jobs_manual_queue on biz.ai_trigger_jobs (site_id, is_forced desc, id)
    where status = 'pending' and event_type = 'manual';
