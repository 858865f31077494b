-- What is old leaves: partitions, releases that no roll-back can want, request ids that no longer count.

-- Its texts are gone: it stays as a row of the history.
alter table deployments add column archived_at timestamptz;

-- Drops the monthly partitions of `parent` all of whose rows are older than `keep`. Waits for no lock for long, because
-- whoever writes to the table would wait behind it: then it is left to the next time.
create function skep_drop_partitions(parent text, keep interval) returns integer language plpgsql as $$
declare
  child text;
  dropped integer := 0;
begin
  perform set_config('lock_timeout', '1s', true);
  for child in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = parent::regclass and c.relname ~ ('^' || parent || '_[0-9]{6}$')
    and (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') at time zone 'utc' <= now() - keep
    order by 1
  loop
    begin
      execute format('drop table %I', child);
    exception when lock_not_available then
      exit;
    end;
    dropped := dropped + 1;
  end loop;
  return dropped;
end $$;

-- Empties the texts of releases that failed or were superseded and stand behind the newest `keep` of their kind and
-- stack; not while a job that has not ended is about one. At most `at_most` a call.
create function skep_archive_releases(keep integer, at_most integer) returns integer language sql as $$
  with old as (
    select d.id, d.job_id, row_number() over (partition by d.stack_id, d.state order by d.number desc) as place
    from deployments d where d.state in ('superseded', 'failed') and d.archived_at is null),
  archived as (
    update deployments d set source = '', rendered = null, objects = '{}', archived_at = now()
    where d.id in (select o.id from old o where o.place > keep
      and not exists (select from deployment_jobs j where j.state in ('pending', 'running')
        and (j.deployment_id = o.id or j.id = o.job_id))
      limit at_most)
    and d.state in ('superseded', 'failed')
    returning 1)
  select count(*)::integer from archived
$$;

-- One daemon at a time; another one's call does nothing. Called by every daemon once an hour.
create function skep_housekeep(events_keep interval, audit_keep interval, releases_keep integer) returns boolean
language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('skep_housekeep')) then
    return false;
  end if;
  perform skep_ensure_partitions();
  delete from request_ids where created_at < now() - interval '24 hours';
  perform skep_archive_releases(releases_keep, 500);
  perform skep_drop_partitions('events', events_keep);
  perform skep_drop_partitions('audit_log', audit_keep);
  return true;
end $$;
