-- Ways to a job that stay as short when millions have ended. Each claim and each end writes one entry in every index
-- that holds the row: so those that are about stacks hold only jobs of stacks.

-- What has not ended, of a stack: what blocks a job, and what a submission looks at.
create index deployment_jobs_open on deployment_jobs (stack_id, id)
  where state in ('pending', 'running') and stack_id is not null;
drop index deployment_jobs_waiting;

-- A queue is read along deployment_jobs_queues; this one would lead past everybody else's jobs.
drop index deployment_jobs_ready;

drop index deployment_jobs_one_running;
create unique index deployment_jobs_one_running on deployment_jobs (stack_id)
  where state = 'running' and stack_id is not null;
drop index deployment_jobs_by_stack;
create index deployment_jobs_by_stack on deployment_jobs (stack_id, id desc) where stack_id is not null;
drop index deployment_jobs_by_deployment;
create index deployment_jobs_by_deployment on deployment_jobs (deployment_id) where deployment_id is not null;

-- Pages of the list, filtered by state: merged from one walk a state.
drop index deployment_jobs_by_project;
create index deployment_jobs_by_project on deployment_jobs (project_id, state, id);
create index deployment_jobs_by_name on deployment_jobs (project_id, stack_name, state, id) where stack_name <> '';
create index deployment_jobs_by_state on deployment_jobs (state, id);

-- A queue: most of what is updated is dead soon after.
alter table deployment_jobs set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 5000);
