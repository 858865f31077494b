-- Housekeeping is due once an hour whatever the number of daemons and however often they start; a part of it that fails
-- does not undo the others.
create table chores (
  name text primary key,
  next_at timestamptz not null,
  last_at timestamptz,
  last_error text not null default ''
);

-- True: it is due, nobody else is at it until this transaction ends, and it is due again after `every`. The lock ends with
-- the transaction, so it cannot outlive a daemon that hangs; nor does anybody wait long behind us, or we behind others.
create function skep_take_chore(chore text, every interval) returns boolean language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(hashtext('skep_' || chore)) then
    return false;
  end if;
  perform set_config('lock_timeout', '1s', true);
  insert into chores (name, next_at) values (chore, now()) on conflict do nothing;
  update chores c set next_at = now() + every, last_at = now(), last_error = '' where c.name = chore and c.next_at <= now();
  return found;
end $$;

-- Each text is a statement. What failed, in words; '' = nothing.
create function skep_do_parts(chore text, parts text[]) returns text language plpgsql as $$
declare
  part text;
  failed text := '';
begin
  foreach part in array parts loop
    begin
      execute part;
    exception when others then
      failed := failed || format('%s%s: %s', case when failed = '' then '' else '; ' end, part, sqlerrm);
    end;
  end loop;
  update chores c set last_error = failed where c.name = chore;
  return failed;
end $$;

create function skep_keep_house(events_keep interval, audit_keep interval, releases_keep integer) returns text
language plpgsql as $$
begin
  if not skep_take_chore('housekeep', '1 hour') then
    return '';
  end if;
  return skep_do_parts('housekeep', array[
    'select skep_ensure_partitions()',
    'delete from request_ids where created_at < now() - interval ''24 hours''',
    format('select skep_archive_releases(%s, 500)', releases_keep),
    format('select skep_drop_partitions(%L, %L)', 'events', events_keep),
    format('select skep_drop_partitions(%L, %L)', 'audit_log', audit_keep)]);
end $$;
