-- Which job goes next is decided by weight, cost and caps; what failed stays known, attempt by attempt.

alter table projects
  add column weight integer not null default 1
    constraint projects_weight check (weight between 1 and 100),
  -- Jobs of the project at a time, in all daemons; 0: as many as there are places.
  add column max_running integer not null default 0
    constraint projects_max_running check (max_running between 0 and 10000);

-- When the present attempt began.
alter table deployment_jobs add column claimed_at timestamptz;
-- The queues: one for each project and kind, oldest first.
create index deployment_jobs_queues on deployment_jobs (project_id, kind, run_at, id) where state = 'pending';

-- Who decides what to claim has read this number before it looked; when it is another one by then, somebody else has
-- claimed and the decision is void. So caps hold whatever the number of daemons.
create table job_turn (turn bigint not null);
insert into job_turn values (1);

-- Each attempt that did not succeed: it failed, or its daemon was not heard of any more.
create table job_attempts (
  job_id uuid not null references deployment_jobs on delete cascade,
  epoch integer not null,
  attempt integer not null,
  owner text not null,
  step text not null, -- the last completed one
  error text not null,
  error_code text not null,
  started_at timestamptz,
  ended_at timestamptz not null default clock_timestamp(),
  primary key (job_id, epoch)
);

-- What is paused: all jobs of a kind, or all of a project. What runs goes on.
create table job_pauses (
  project_id uuid references projects on delete cascade,
  kind job_kind,
  reason text not null,
  paused_by text not null,
  paused_at timestamptz not null default now(),
  constraint job_pauses_one check (num_nonnulls(project_id, kind) = 1)
);
create unique index job_pauses_project on job_pauses (project_id) where project_id is not null;
create unique index job_pauses_kind on job_pauses (kind) where kind is not null;

-- GCRA: when the next submission of a project would be due if they came evenly.
create table job_gates (
  project_id uuid primary key references projects on delete cascade,
  due_at timestamptz not null
);

-- Like skep_raise, and when to try again: src/pg puts it into the status.
create function skep_raise_for(code int, words text, ms bigint) returns boolean language plpgsql as $$
begin
  raise exception using errcode = 'SK' || lpad(code::text, 3, '0'), message = words, hint = ms::text;
end $$;

-- One more job of the project is to be submitted (or an ended one runs again: then `per_minute` is 0). The wait list of
-- the project and the rate are bounded; 0 = not.
create function skep_admit_job(pid uuid, backlog integer, per_minute integer, burst integer) returns void
language plpgsql as $$
declare
  name text;
  waiting bigint;
  every interval;
  due timestamptz;
begin
  if backlog > 0 then
    select count(*) into waiting from (select from deployment_jobs j where j.project_id = pid and j.state = 'pending'
      limit backlog) x;
    if waiting >= backlog then
      select p.name into name from projects p where p.id = pid;
      perform skep_raise_for(8, format('%s jobs of project "%s" wait already: let them run, or cancel some',
        waiting, name), 5000);
    end if;
  end if;
  if per_minute <= 0 then
    return;
  end if;
  every := interval '1 minute' / per_minute;
  insert into job_gates values (pid, clock_timestamp()) on conflict do nothing;
  select g.due_at into due from job_gates g where g.project_id = pid for no key update;
  due := greatest(due, clock_timestamp()) + every;
  if due - clock_timestamp() > every * greatest(burst, 1) then
    select p.name into name from projects p where p.id = pid;
    perform skep_raise_for(8, format('project "%s" submits too fast: %s jobs a minute, %s at once', name, per_minute,
      burst), (extract(epoch from due - clock_timestamp() - every * greatest(burst, 1)) * 1000)::bigint + 1);
  end if;
  update job_gates g set due_at = due where g.project_id = pid;
end $$;
