-- The number of the last write of the job's run under its present claim: what comes late, behind a later one, is refused.
alter table deployment_jobs add column write_number integer not null default 0;
