-- Jobs that ended long ago leave the table that workers look at. They are read like the others until their month is dropped.

-- No foreign keys: dropping a month must not lock projects and stacks, nor removing a stack rewrite its history. Ids sort by
-- the time at which they were made: a month is a range of them, and a list in their order reads one month after the other.
create table deployment_jobs_archive (
  id uuid primary key,
  project_id uuid not null,
  stack_id uuid, -- it may be gone by now
  deployment_id uuid,
  stack_name text not null,
  release_number bigint not null,
  kind job_kind not null,
  state job_state not null,
  params jsonb not null,
  epoch integer not null,
  attempt integer not null,
  max_attempts integer not null,
  takeovers integer not null,
  owner text not null,
  run_at timestamptz not null,
  step text not null,
  undoing boolean not null,
  percent integer not null,
  message text not null,
  error text not null,
  error_code text not null,
  failures jsonb not null,
  warnings text[] not null,
  cancel_requested boolean not null,
  last_sequence bigint not null,
  created_by text not null,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz not null,
  attempts json not null -- its rows of job_attempts, as skep_attempts tells them
) partition by range (id);

-- What lies before it was dropped: a page that begins there cannot be told.
create table job_horizon (id uuid not null);
insert into job_horizon values ('00000000-0000-0000-0000-000000000000');

-- Jobs in the archive of projects that were deleted; they follow bit by bit.
create table job_leftovers (project_id uuid primary key);
create function skep_leave_jobs() returns trigger language plpgsql as $$
begin
  insert into job_leftovers values (old.id) on conflict do nothing;
  return null;
end $$;
create trigger projects_leave_jobs after delete on projects for each row execute function skep_leave_jobs();

-- Pages of the list, whatever it is filtered by: merged from one walk for each state and kind, here and in the archive. The
-- primary key cannot stand in for them: `nulls last` is no order of it.
drop index deployment_jobs_by_project;
create index deployment_jobs_by_project on deployment_jobs (project_id, state, kind, id desc nulls last);
drop index deployment_jobs_by_name;
create index deployment_jobs_by_name on deployment_jobs (stack_name, project_id, state, kind, id desc nulls last) where stack_name <> '';
drop index deployment_jobs_by_state;
create index deployment_jobs_by_state on deployment_jobs (state, kind, id desc nulls last);
create index deployment_jobs_archive_by_project on deployment_jobs_archive (project_id, state, kind, id desc nulls last);
create index deployment_jobs_archive_by_name on deployment_jobs_archive (stack_name, project_id, state, kind, id desc nulls last)
  where stack_name <> '';
create index deployment_jobs_archive_by_state on deployment_jobs_archive (state, kind, id desc nulls last);

-- When an id was made.
create function skep_uuid_time(id uuid) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp(('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
$$;

-- The attempts of a job that did not succeed, as readers are told and as the archive keeps them.
create function skep_attempts(jid uuid) returns json language sql stable as $$
  select coalesce(json_agg(json_build_object('epoch', t.epoch, 'attempt', t.attempt, 'daemon', t.owner, 'step', t.step,
    'error', t.error, 'error_code', t.error_code, 'started_us', skep_us(t.started_at), 'ended_us', skep_us(t.ended_at))
    order by t.epoch), '[]') from job_attempts t where t.job_id = jid
$$;

-- Makes the partition of the month (of UTC) that begins then.
create function skep_ensure_archive(month timestamp) returns void language plpgsql as $$
declare child text := 'deployment_jobs_archive_' || to_char(month, 'YYYYMM');
begin
  if to_regclass(child) is null then -- else its lock would hold up who reads
    perform pg_advisory_xact_lock(hashtext('skep_ensure_archive'));
    execute format('create table if not exists %I partition of deployment_jobs_archive for values from (%L) to (%L)', child,
      skep_uuid_floor(month at time zone 'utc'), skep_uuid_floor((month + interval '1 month') at time zone 'utc'));
  end if;
end $$;

-- This month's and the next one's: the archive moves in without making any.
create function skep_ensure_archives() returns void language sql as $$
  select skep_ensure_archive(date_trunc('month', now() at time zone 'utc') + n * interval '1 month') from generate_series(0, 1) n
$$;
select skep_ensure_archives();

-- Its months: their smallest id, and the smallest behind them.
create function skep_archive_months() returns table (lowest uuid, behind uuid) language sql stable as $$
  select skep_uuid_floor(x.month at time zone 'utc'), skep_uuid_floor((x.month + interval '1 month') at time zone 'utc')
  from (select to_date(right(c.relname, 6), 'YYYYMM')::timestamp as month
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'deployment_jobs_archive'::regclass and c.relname ~ '^deployment_jobs_archive_[0-9]{6}$') x
$$;

-- Until the transaction ends, statements are planned to follow indexes whatever the tables held when they were counted last, and
-- once for all parameters.
create function skep_by_index() returns void language sql as $$
  select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true),
    set_config(n, 'off', true) from unnest(array['enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'enable_hashjoin',
    'enable_mergejoin']) n
$$;

-- The id at which the oldest month begins that `keep` leaves.
create function skep_archive_floor(keep interval) returns uuid language sql stable as $$
  select skep_uuid_floor(date_trunc('month', (now() - keep) at time zone 'utc') at time zone 'utc')
$$;

-- Moves at most so many jobs that ended before `age` ago into the archive, and drops those that it would not keep either.
-- The newest job of a stack stays, for skep job retry --failed looks at it; and one whose id is of a time to come, until then.
-- Returns how many.
create function skep_archive_jobs(age interval, keep interval, at_most integer) returns integer language plpgsql as $$
declare
  oldest uuid := skep_archive_floor(keep);
  to_come uuid := skep_uuid_floor((date_trunc('month', now() at time zone 'utc') + interval '2 months') at time zone 'utc');
  ids uuid[];
begin
  select array_agg(x.id) into ids from (
    select j.id from deployment_jobs j
    where j.finished_at < now() - age and j.state in ('succeeded', 'failed', 'cancelled') and j.id < to_come
    and (j.stack_id is null
      or j.id < (select n.id from deployment_jobs n where n.stack_id = j.stack_id order by n.id desc limit 1))
    order by j.finished_at limit at_most for update skip locked) x;
  if ids is null then
    return 0;
  end if;
  perform skep_ensure_archive(m.month) from (select distinct date_trunc('month', skep_uuid_time(i.id) at time zone 'utc')
    as month from unnest(ids) as i (id) where i.id >= oldest) m;
  with gone as (delete from deployment_jobs j where j.id = any (ids) returning j.*)
  insert into deployment_jobs_archive (id, project_id, stack_id, deployment_id, stack_name, release_number, kind, state, params,
    epoch, attempt, max_attempts, takeovers, owner, run_at, step, undoing, percent, message, error, error_code, failures,
    warnings, cancel_requested, last_sequence, created_by, created_at, started_at, finished_at, attempts)
  select id, project_id, stack_id, deployment_id, stack_name, release_number, kind, state, params,
    epoch, attempt, max_attempts, takeovers, owner, run_at, step, undoing, percent, message, error, error_code, failures,
    warnings, cancel_requested, last_sequence, created_by, created_at, started_at, finished_at, skep_attempts(id)
  from gone where id >= oldest;
  update job_horizon h set id = oldest where h.id < oldest and exists (select from unnest(ids) as i (id) where i.id < oldest);
  return cardinality(ids);
end $$;

-- Drops the months that `keep` does not reach.
create function skep_drop_archives(keep interval) returns integer language plpgsql as $$
declare dropped integer := skep_drop_partitions('deployment_jobs_archive', keep);
begin
  if dropped > 0 then
    update job_horizon h set id = greatest(h.id, least(skep_archive_floor(keep),
      (select min(m.lowest::text)::uuid from skep_archive_months() m)));
  end if;
  return dropped;
end $$;

-- Deletes at most so many archived jobs of projects that are gone. Returns how many.
create function skep_delete_leftovers(at_most integer) returns integer language plpgsql as $$
declare
  pid uuid;
  n integer;
begin
  select l.project_id into pid from job_leftovers l limit 1 for update skip locked;
  if pid is null then
    return 0;
  end if;
  delete from deployment_jobs_archive a where a.id in (
    select x.id from deployment_jobs_archive x where x.project_id = pid limit at_most);
  get diagnostics n = row_count;
  if n < at_most then
    delete from job_leftovers l where l.project_id = pid;
  end if;
  return n;
end $$;

-- One batch of what leaves the table of jobs; by one daemon at a time, and every minute while there is no more than that.
-- Returns whether there is more.
create function skep_keep_jobs(age interval, keep interval, at_most integer) returns boolean language plpgsql as $$
declare more boolean;
begin
  if not skep_take_chore('archive', '1 minute') then
    return false;
  end if;
  more := skep_archive_jobs(age, keep, at_most) >= at_most;
  more := skep_delete_leftovers(at_most) >= at_most or more;
  update chores c set next_at = now() where c.name = 'archive' and more;
  return more;
end $$;

create function skep_keep_house(events_keep interval, audit_keep interval, releases_keep integer, jobs_keep interval)
returns text language plpgsql as $$
begin
  if not skep_take_chore('housekeep', '1 hour') then
    return '';
  end if;
  return skep_do_parts('housekeep', array[
    'select skep_ensure_partitions()',
    'select skep_ensure_archives()',
    'select skep_settle_events()',
    'delete from request_ids where created_at < now() - interval ''24 hours''',
    format('select skep_archive_releases(%s, 500)', releases_keep),
    format('select skep_drop_archives(%L)', jobs_keep),
    format('select skep_drop_partitions(%L, %L)', 'events', events_keep),
    format('select skep_drop_partitions(%L, %L)', 'audit_log', audit_keep)]);
end $$;

-- For reading: wherever it is.
create or replace function skep_job(jid text, scope uuid) returns uuid language plpgsql stable as $$
declare found_id uuid;
begin
  select j.id into found_id from deployment_jobs j
    where j.id = skep_uuid(jid) and (scope is null or j.project_id = scope);
  if found_id is null then
    select a.id into found_id from deployment_jobs_archive a join projects p on p.id = a.project_id
      where a.id = skep_uuid(jid) and (scope is null or a.project_id = scope);
  end if;
  if found_id is null then
    perform skep_raise(5, format('job "%s" does not exist', jid));
  end if;
  return found_id;
end $$;

-- For changing what has not ended: that is not in the archive.
create or replace function skep_lock_job(jid text, scope uuid) returns uuid language plpgsql as $$
declare found_id uuid := skep_job(jid, scope);
begin
  perform from deployment_jobs j where j.id = found_id for no key update;
  if found then
    return found_id;
  end if;
  perform skep_raise(9, format('job %s has ended already: its state is %s', a.id, a.state))
    from deployment_jobs_archive a where a.id = found_id;
  return skep_lock_job(jid, scope);
end $$;

-- For running it once more: it comes back from the archive.
create function skep_lock_ended_job(jid text, scope uuid) returns uuid language plpgsql as $$
declare
  found_id uuid := skep_job(jid, scope);
  back deployment_jobs_archive;
begin
  perform from deployment_jobs j where j.id = found_id for no key update;
  if found then
    return found_id;
  end if;
  delete from deployment_jobs_archive a where a.id = found_id returning a.* into back;
  if not found then -- somebody else was quicker
    return skep_lock_ended_job(jid, scope);
  end if;
  insert into deployment_jobs (id, project_id, stack_id, deployment_id, stack_name, release_number, kind, state, params,
    epoch, attempt, max_attempts, takeovers, owner, run_at, step, undoing, percent, message, error, error_code, failures,
    warnings, cancel_requested, last_sequence, created_by, created_at, started_at, finished_at)
  values (back.id, back.project_id, (select s.id from orchestration_stacks s where s.id = back.stack_id),
    (select d.id from deployments d where d.id = back.deployment_id), back.stack_name, back.release_number, back.kind,
    back.state, back.params, back.epoch, back.attempt, back.max_attempts, back.takeovers, back.owner, back.run_at, back.step,
    back.undoing, back.percent, back.message, back.error, back.error_code, back.failures, back.warnings,
    back.cancel_requested, back.last_sequence, back.created_by, back.created_at, back.started_at, back.finished_at);
  insert into job_attempts (job_id, epoch, attempt, owner, step, error, error_code, started_at, ended_at)
    select back.id, t.epoch, t.attempt, t.daemon, t.step, t.error, t.error_code,
      case when t.started_us > 0 then to_timestamp(t.started_us / 1e6) end, to_timestamp(t.ended_us / 1e6)
    from json_to_recordset(back.attempts) as t (epoch integer, attempt integer, daemon text, step text, error text,
      error_code text, started_us bigint, ended_us bigint);
  return found_id;
end $$;
