-- What is done when somebody changed by hand what a release says.
create type drift_policy as enum ('report', 'repair');
alter table projects add column drift_policy drift_policy not null default 'report';
-- How often did the observer repair a stack of late?
create index deployment_jobs_repairs on deployment_jobs (stack_id, created_at) where created_by = 'observer';
