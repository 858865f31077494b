-- Which daemons there are, as they say themselves every few seconds. Nothing is decided by it: it is for people.
create table daemons (
  id uuid primary key, -- a new one at every start
  host text not null,
  version text not null,
  slots integer not null,
  running integer not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
);
-- How many jobs ended of late?
create index deployment_jobs_ended on deployment_jobs (finished_at) where finished_at is not null;

-- The project that a caller names; null: none is named, and the caller may see every one.
create function skep_project_or_all(ref text, scope uuid) returns uuid language sql stable as $$
  select case when ref = '' then scope else skep_project(ref, scope) end
$$;
