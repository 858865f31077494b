-- The foundation: tenants, stacks, releases, jobs, events, audit, and the origin system's eight tables
-- (orchestration_stacks, service_instances, network_assignments, resource_allocations, ssl_certificates,
-- deployment_jobs, system_metrics, deployments). Ids are UUIDv7 made by the client, so they sort by creation.

create type caller_role as enum ('viewer', 'deployer', 'owner', 'admin');
create type stack_status as enum ('pending', 'deploying', 'running', 'degraded', 'drifted', 'failed', 'removing');
create type release_state as enum ('pending', 'active', 'superseded', 'failed');
create type failure_policy as enum ('rollback', 'pause');
create type job_kind as enum ('deploy', 'update', 'scale', 'restart', 'remove', 'rollback', 'build',
  'renew_certificate', 'publish_routes', 'housekeeping');
create type job_state as enum ('pending', 'running', 'succeeded', 'failed', 'cancelled');
create type service_mode as enum ('replicated', 'global', 'replicated-job', 'global-job');
create type service_state as enum ('pending', 'converging', 'running', 'degraded', 'failed', 'completed', 'missing');
create type assignment_state as enum ('assigned', 'released');
create type allocation_state as enum ('reserved', 'committed', 'released');
create type certificate_state as enum ('pending', 'valid', 'expired', 'revoked', 'failed');

-- Raises an error that src/pg turns into status `code` (gRPC's number) with these words. Returns a
-- boolean only so that it can stand in `case`.
create function skep_raise(code int, words text) returns boolean language plpgsql as $$
begin
  raise exception using errcode = 'SK' || lpad(code::text, 3, '0'), message = words;
end $$;

-- The UUID that a text spells, or null.
create function skep_uuid(t text) returns uuid language sql immutable parallel safe as $$
  select case when t ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then t::uuid end
$$;

-- Microseconds since 1970; 0 for null.
create function skep_us(t timestamptz) returns bigint language sql stable parallel safe as $$
  select coalesce((extract(epoch from t) * 1000000)::bigint, 0)
$$;

create function skep_touch() returns trigger language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create table projects (
  id uuid primary key,
  name text not null constraint projects_name_key unique,
  description text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- A project is named by id or by name, so a name may not look like an id.
  constraint projects_name_form check (name ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$' and length(name) <= 40
    and skep_uuid(name) is null)
);
create trigger projects_touch before update on projects for each row execute function skep_touch();

create table api_tokens (
  id uuid primary key,
  project_id uuid references projects on delete cascade, -- null: every project
  name text not null,
  role caller_role not null,
  prefix text not null,
  token_hash bytea not null constraint api_tokens_hash_key unique, -- SHA-256
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz,
  -- An administrator's token is of no project: its holder would rule all of them.
  constraint api_tokens_admin_everywhere check (role <> 'admin' or project_id is null)
);
create index api_tokens_listed on api_tokens (project_id, id desc);

create table orchestration_stacks (
  id uuid primary key,
  project_id uuid not null references projects on delete restrict,
  name text not null,
  namespace text not null constraint orchestration_stacks_namespace_key unique, -- the Engine's
  status stack_status not null default 'pending',
  status_message text not null default '',
  active_deployment_id uuid, -- the release that runs; constraint below
  last_job_id uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint orchestration_stacks_name_key unique (project_id, name),
  constraint orchestration_stacks_name_form check (name ~ '^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$' and length(name) <= 40
    and skep_uuid(name) is null),
  constraint orchestration_stacks_namespace_form check (namespace ~ '^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$'),
  constraint orchestration_stacks_namespace_fits check (length(namespace) between 1 and 63)
);
create index orchestration_stacks_listed on orchestration_stacks (project_id, id desc);
create trigger orchestration_stacks_touch before update on orchestration_stacks for each row execute function skep_touch();

create table deployments (
  id uuid primary key,
  project_id uuid not null references projects on delete restrict,
  stack_id uuid not null references orchestration_stacks on delete cascade,
  number bigint not null,
  state release_state not null default 'pending',
  on_failure failure_policy not null default 'rollback',
  source bytea not null,  -- sealed: texts, files, variables
  rendered bytea,         -- sealed: the objects as they were sent to the Engine, images with digests
  images text[] not null default '{}',
  created_by text not null,
  job_id uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint deployments_number_key unique (stack_id, number)
);
create index deployments_listed on deployments (stack_id, id desc);
create unique index deployments_one_active on deployments (stack_id) where state = 'active';
create trigger deployments_touch before update on deployments for each row execute function skep_touch();
alter table orchestration_stacks add constraint orchestration_stacks_active_fkey
  foreign key (active_deployment_id) references deployments on delete set null;
create index orchestration_stacks_by_active on orchestration_stacks (active_deployment_id);

create table deployment_jobs (
  id uuid primary key,
  project_id uuid not null references projects on delete cascade, -- history goes with it
  stack_id uuid references orchestration_stacks on delete set null, -- null: it was removed
  stack_name text not null default '',
  deployment_id uuid references deployments on delete set null,
  release_number bigint not null default 0,
  kind job_kind not null,
  state job_state not null default 'pending',
  params jsonb not null default '{}', -- never anything a user may have put a password in
  epoch integer not null default 0,   -- bumped by every claim; every later write is fenced with it
  attempt integer not null default 0,
  max_attempts integer not null default 1,
  takeovers integer not null default 0,
  owner text not null default '',
  lease_until timestamptz,
  run_at timestamptz not null default now(),
  step text not null default '',      -- the last completed one
  undoing boolean not null default false,
  percent integer not null default 0,
  message text not null default '',
  error text not null default '',
  error_code text not null default '',
  warnings text[] not null default '{}',
  cancel_requested boolean not null default false,
  last_sequence bigint not null default 0,
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);
create unique index deployment_jobs_one_running on deployment_jobs (stack_id) where state = 'running';
create index deployment_jobs_ready on deployment_jobs (run_at, id) where state = 'pending';
create index deployment_jobs_waiting on deployment_jobs (stack_id, id) where state = 'pending';
create index deployment_jobs_leased on deployment_jobs (lease_until) where state = 'running';
create index deployment_jobs_by_project on deployment_jobs (project_id, id desc);
create index deployment_jobs_by_stack on deployment_jobs (stack_id, id desc);
create index deployment_jobs_by_deployment on deployment_jobs (deployment_id);
create trigger deployment_jobs_touch before update on deployment_jobs for each row execute function skep_touch();

create table request_ids (
  scope text not null, -- the project that the actor's rights end at, '' = none: names of actors repeat
  actor text not null,
  request_id text not null,
  method text not null,
  fingerprint bytea not null, -- SHA-256 of the request: the same id with another request is refused
  result_id uuid,             -- the job, project … that the first answer named
  created_at timestamptz not null default now(),
  constraint request_ids_pkey primary key (scope, actor, request_id)
);
create index request_ids_age on request_ids (created_at);

create table service_instances (
  project_id uuid not null references projects on delete cascade,
  stack_id uuid not null references orchestration_stacks on delete cascade,
  service text not null, -- in the Compose text
  engine_id text not null default '',
  engine_name text not null default '',
  image text not null default '',
  mode service_mode not null,
  state service_state not null default 'pending',
  running integer not null default 0,
  wanted integer not null default 0,
  message text not null default '',
  updated_at timestamptz not null default now(),
  primary key (stack_id, service)
);
create index service_instances_by_project on service_instances (project_id, stack_id);
create trigger service_instances_touch before update on service_instances for each row execute function skep_touch();

create table network_assignments (
  id uuid primary key,
  project_id uuid not null references projects on delete restrict,
  stack_id uuid references orchestration_stacks on delete cascade,
  network text not null, -- in the Compose text
  engine_name text not null,
  subnet cidr,
  state assignment_state not null default 'assigned',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  released_at timestamptz
);
create unique index network_assignments_subnet_key on network_assignments (subnet) where state = 'assigned';
create unique index network_assignments_name_key on network_assignments (engine_name) where state = 'assigned';
create index network_assignments_by_stack on network_assignments (stack_id);
create trigger network_assignments_touch before update on network_assignments for each row execute function skep_touch();

create table resource_allocations (
  id uuid primary key,
  project_id uuid not null references projects on delete restrict,
  stack_id uuid references orchestration_stacks on delete cascade,
  deployment_id uuid references deployments on delete cascade,
  service text not null,
  replicas integer not null check (replicas >= 0),
  nano_cpus bigint not null default 0 check (nano_cpus >= 0),
  memory_bytes bigint not null default 0 check (memory_bytes >= 0),
  storage_bytes bigint not null default 0 check (storage_bytes >= 0),
  state allocation_state not null default 'reserved',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index resource_allocations_by_project on resource_allocations (project_id, state);
create index resource_allocations_by_stack on resource_allocations (stack_id);
create index resource_allocations_by_deployment on resource_allocations (deployment_id);
create trigger resource_allocations_touch before update on resource_allocations for each row execute function skep_touch();

create table ssl_certificates (
  id uuid primary key,
  project_id uuid not null references projects on delete restrict,
  names text[] not null check (cardinality(names) > 0),
  state certificate_state not null default 'pending',
  issuer text not null default '',
  chain text not null default '', -- PEM
  private_key bytea,              -- sealed
  not_before timestamptz,
  not_after timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index ssl_certificates_by_project on ssl_certificates (project_id, id);
create index ssl_certificates_due on ssl_certificates (not_after) where state = 'valid';
create trigger ssl_certificates_touch before update on ssl_certificates for each row execute function skep_touch();

-- A job's events are numbered by the job's row (last_sequence → job_sequence); the global stream is read in the order
-- (xact, seq) below pg_snapshot_xmin(pg_current_snapshot()), so that late commits are not missed.
create sequence events_seq;
create table events (
  seq bigint not null default nextval('events_seq'),
  xact xid8 not null default pg_current_xact_id(),
  project_id uuid not null,
  stack_id uuid,
  job_id uuid,
  job_sequence bigint not null default 0,
  kind text not null,
  message text not null default '',
  service text not null default '',
  step text not null default '',
  percent integer not null default 0,
  state text not null default '',
  running integer not null default 0,
  wanted integer not null default 0,
  created_at timestamptz not null default now(),
  primary key (created_at, seq)
) partition by range (created_at);
create index events_by_job on events (job_id, job_sequence);
create index events_by_project on events (project_id, xact, seq);
create index events_stream on events (xact, seq);

create table audit_log (
  id uuid not null,
  project_id uuid, -- null: of no project
  actor text not null,
  method text not null,
  target text not null,
  request_id text not null default '',
  detail jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (created_at, id)
) partition by range (created_at);
create index audit_log_by_project on audit_log (project_id, created_at desc);

create table system_metrics (
  project_id uuid,
  stack_id uuid,
  service text not null default '',
  node text not null default '',
  metric text not null,
  value double precision not null,
  created_at timestamptz not null default now()
) partition by range (created_at);
create index system_metrics_series on system_metrics (project_id, stack_id, service, metric, created_at desc);

-- ---- what a caller names ----
-- Each finds a row inside a scope (null: everywhere) or raises NOT_FOUND in words that are the same whether
-- the row is absent or another project's. skep_lock_* also hold the row until the transaction ends.

create function skep_project(ref text, scope uuid) returns uuid language plpgsql stable as $$
declare found_id uuid;
begin
  if ref = '' and scope is not null then
    return scope;
  end if;
  if ref = '' then
    perform skep_raise(3, 'no project is named: give its name or id');
  end if;
  select p.id into found_id from projects p
    where (p.name = ref or p.id = skep_uuid(ref)) and (scope is null or p.id = scope);
  if found_id is null then
    perform skep_raise(5, format('project "%s" does not exist', ref));
  end if;
  return found_id;
end $$;

-- By id, or where `sid` is empty by project and name.
create function skep_stack(sid text, project text, stack text, scope uuid) returns uuid language plpgsql stable as $$
declare
  found_id uuid;
  pid uuid;
begin
  if sid <> '' then
    select s.id into found_id from orchestration_stacks s
      where s.id = skep_uuid(sid) and (scope is null or s.project_id = scope);
    if found_id is null then
      perform skep_raise(5, format('stack "%s" does not exist', sid));
    end if;
    return found_id;
  end if;
  pid := skep_project(project, scope);
  select s.id into found_id from orchestration_stacks s where s.project_id = pid and s.name = stack;
  if found_id is null then
    perform skep_raise(5, format('stack "%s" does not exist in project "%s"', stack,
      coalesce((select p.name from projects p where p.id = pid), project)));
  end if;
  return found_id;
end $$;

create function skep_job(jid text, scope uuid) returns uuid language plpgsql stable as $$
declare found_id uuid;
begin
  select j.id into found_id from deployment_jobs j
    where j.id = skep_uuid(jid) and (scope is null or j.project_id = scope);
  if found_id is null then
    perform skep_raise(5, format('job "%s" does not exist', jid));
  end if;
  return found_id;
end $$;

create function skep_lock_project(ref text, scope uuid) returns uuid language plpgsql as $$
declare pid uuid := skep_project(ref, scope);
begin
  perform from projects p where p.id = pid for key share;
  if not found then -- deleted while we waited for it
    perform skep_raise(5, format('project "%s" does not exist', ref));
  end if;
  return pid;
end $$;

create function skep_lock_stack(sid text, project text, stack text, scope uuid) returns uuid language plpgsql as $$
declare found_id uuid := skep_stack(sid, project, stack, scope);
begin
  perform from orchestration_stacks s where s.id = found_id for no key update;
  if not found then -- deleted while we waited for it: looking again finds the words
    return skep_lock_stack(sid, project, stack, scope);
  end if;
  return found_id;
end $$;

create function skep_lock_job(jid text, scope uuid) returns uuid language plpgsql as $$
declare found_id uuid := skep_job(jid, scope);
begin
  perform from deployment_jobs j where j.id = found_id for no key update;
  if not found then
    return skep_lock_job(jid, scope);
  end if;
  return found_id;
end $$;

-- A worker's first statement: the job is still run under this epoch, and nobody takes it over before
-- this transaction ends. Otherwise ABORTED, and nothing of the transaction happens.
create function skep_fence(jid uuid, want integer) returns void language plpgsql as $$
begin
  perform from deployment_jobs j where j.id = jid and j.epoch = want and j.state = 'running' for no key update;
  if not found then
    perform skep_raise(10, format('job %s is no longer run under epoch %s', jid, want));
  end if;
end $$;

-- Makes the monthly partitions of this month and the next. Called at every start and once a day.
create function skep_ensure_partitions() returns void language plpgsql as $$
declare
  parent text;
  first date;
begin
  perform pg_advisory_xact_lock(hashtext('skep_ensure_partitions'));
  foreach parent in array array['events', 'audit_log', 'system_metrics'] loop
    for i in 0..1 loop
      first := (date_trunc('month', now() at time zone 'utc') + make_interval(months => i))::date;
      execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
        parent || '_' || to_char(first, 'YYYYMM'), parent,
        first::text || ' 00:00:00+00', ((first + interval '1 month')::date)::text || ' 00:00:00+00');
    end loop;
  end loop;
end $$;
select skep_ensure_partitions();
