-- Schedules: what is done to a stack again and again. When each is due next stands in its row, worked out by whoever
-- wrote the row last (src/jobs/timetable): the database only compares.
create type schedule_action as enum ('redeploy', 'restart', 'scale');
create type schedule_missed as enum ('skip', 'run_once');
create type schedule_outcome as enum ('submitted', 'skipped', 'missed', 'refused');

create table schedules (
  id uuid primary key,
  project_id uuid not null references projects on delete cascade,
  stack_id uuid not null references orchestration_stacks on delete cascade,
  name text not null,
  action schedule_action not null,
  params jsonb not null default '{}',
  cron text not null,
  time_zone text not null,
  jitter_seconds integer not null default 0,
  missed schedule_missed not null default 'skip',
  paused boolean not null default false,
  -- Bumped by every change: whoever fires it, or changes it, has read this number.
  revision bigint not null default 1,
  next_at timestamptz not null, -- as the expression says
  due_at timestamptz not null,  -- with the jitter
  last_at timestamptz,
  last_outcome schedule_outcome,
  last_message text not null default '',
  last_job_id uuid, -- the last one that was submitted; no foreign key: jobs leave before schedules do
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint schedules_name_key unique (project_id, name),
  constraint schedules_name_form check (name ~ '^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$' and length(name) <= 40
    and skep_uuid(name) is null),
  constraint schedules_jitter check (jitter_seconds between 0 and 86400)
);
create index schedules_due on schedules (due_at) where not paused;
create index schedules_by_stack on schedules (stack_id);
create index schedules_listed on schedules (project_id, id desc);
create trigger schedules_touch before update on schedules for each row execute function skep_touch();

-- By name in a project, or by id.
create function skep_schedule(ref text, project text, scope uuid) returns uuid language plpgsql stable as $$
declare
  pid uuid := skep_project_or_all(project, scope);
  found_id uuid;
begin
  select s.id into found_id from schedules s
    where s.project_id = pid and s.name = ref or s.id = skep_uuid(ref) and (pid is null or s.project_id = pid);
  if found_id is null then
    perform skep_raise(5, format('schedule "%s" does not exist%s', ref,
      case when pid is null then ': give its project, or its id' else '' end));
  end if;
  return found_id;
end $$;

-- The first statement of who fires a schedule: nobody else is at one now, and it is as it was read. Otherwise ABORTED, and
-- nothing of the transaction happens.
create function skep_take_schedule(sid uuid, want bigint) returns void language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('skep_schedules')) then
    perform skep_raise(10, 'another daemon looks after the schedules just now');
  end if;
  perform from schedules s where s.id = sid and s.revision = want and not s.paused for no key update;
  if not found then
    perform skep_raise(10, format('schedule %s was changed, or has been seen to', sid));
  end if;
end $$;
