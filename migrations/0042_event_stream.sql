-- The stream of all events. Its order is (xact, seq), and it is read below the horizon: below the oldest transaction that
-- has not ended. So what commits late is not passed over: nothing can appear at or before a position that was read.

-- After a dump was restored: transactions are numbered anew, and rows from before would lie above the horizon for long.
-- They are put before everything else. The newest tell whether there are any.
create function skep_settle_events() returns void language plpgsql as $$
begin
  if exists (select from (select e.xact from events e order by e.xact desc, e.seq desc limit 1) x
      where x.xact > pg_snapshot_xmax(pg_current_snapshot())) then
    update events set xact = '3' where xact > pg_snapshot_xmax(pg_current_snapshot());
  end if;
end $$;

-- Where the stream stands for who begins at this time (null: now). About: a transaction's number and the time on its rows
-- are not in the same order.
create function skep_events_since(since timestamptz) returns xid8 language sql stable as $$
  select coalesce((select min(x.xact::text::bigint)::text::xid8 from (
      select e.xact from events e where e.created_at >= since order by e.created_at, e.seq limit 1000) x),
    pg_snapshot_xmin(pg_current_snapshot()))
$$;

create or replace function skep_keep_house(events_keep interval, audit_keep interval, releases_keep integer) returns text
language plpgsql as $$
begin
  if not skep_take_chore('housekeep', '1 hour') then
    return '';
  end if;
  return skep_do_parts('housekeep', array[
    'select skep_ensure_partitions()',
    'select skep_settle_events()',
    'delete from request_ids where created_at < now() - interval ''24 hours''',
    format('select skep_archive_releases(%s, 500)', releases_keep),
    format('select skep_drop_partitions(%L, %L)', 'events', events_keep),
    format('select skep_drop_partitions(%L, %L)', 'audit_log', audit_keep)]);
end $$;
