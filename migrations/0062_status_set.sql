-- When a job has said last what the status is: what was seen of the Engine before that does not count.
alter table orchestration_stacks add column set_at timestamptz not null default clock_timestamp();
