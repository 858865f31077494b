-- What a watcher of the stream would miss: when a month of events is dropped, the last position in it is kept, of each
-- project's events and (project_id null) of all. Who comes back with a position before it is told so.
create table events_dropped (
  project_id uuid references projects on delete cascade,
  xact xid8 not null,
  seq bigint not null
);
create index events_dropped_by_project on events_dropped (project_id);

-- Of a partition that is about to be dropped. By its indexes: it may hold very many.
create function skep_note_dropped_events(child text) returns void language plpgsql as $$
begin
  execute format('insert into events_dropped select p.id, l.xact, l.seq from projects p cross join lateral ('
    ' select e.xact, e.seq from %1$I e where e.project_id = p.id order by e.xact desc, e.seq desc limit 1) l'
    ' union all (select null, e.xact, e.seq from %1$I e order by e.xact desc, e.seq desc limit 1)', child);
  delete from events_dropped d using events_dropped n
    where n.project_id is not distinct from d.project_id and (n.xact, n.seq) > (d.xact, d.seq);
end $$;

create or replace function skep_drop_partitions(parent text, keep interval) returns integer language plpgsql as $$
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
      if parent = 'events' then
        perform skep_note_dropped_events(child);
      end if;
      execute format('drop table %I', child);
    exception when lock_not_available then
      exit;
    end;
    dropped := dropped + 1;
  end loop;
  return dropped;
end $$;

create or replace function skep_settle_events() returns void language plpgsql as $$
begin
  if exists (select from (select e.xact from events e order by e.xact desc, e.seq desc limit 1) x
      where x.xact > pg_snapshot_xmax(pg_current_snapshot())) then
    update events set xact = '3' where xact > pg_snapshot_xmax(pg_current_snapshot());
  end if;
  update events_dropped set xact = '3' where xact > pg_snapshot_xmax(pg_current_snapshot());
end $$;

-- Never before what was dropped: a position there would be refused.
create or replace function skep_events_since(since timestamptz) returns xid8 language sql stable as $$
  select greatest(
    coalesce((select min(x.xact::text::bigint) from (
        select e.xact from events e where e.created_at >= since order by e.created_at, e.seq limit 1000) x),
      pg_snapshot_xmin(pg_current_snapshot())::text::bigint),
    (select max(d.xact::text::bigint) + 1 from events_dropped d where d.project_id is null))::text::xid8
$$;
