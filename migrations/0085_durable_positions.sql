-- A position in the stream of events is behind an event that is there, never just below the horizon: after a crash the server
-- gives out again the transaction numbers of which it had written nothing, and what then came under them would be passed
-- over. (4: behind what skep_settle_events() puts before everything else.)
create or replace function skep_events_since(since timestamptz) returns xid8 language sql stable as $$
  select greatest(
    coalesce((select min(x.xact::text::bigint) from (
        select e.xact from events e where e.created_at >= since order by e.created_at, e.seq limit 1000) x),
      (select e.xact::text::bigint + 1 from events e where e.xact < pg_snapshot_xmin(pg_current_snapshot())
       order by e.xact desc, e.seq desc limit 1), 4),
    (select max(d.xact::text::bigint) + 1 from events_dropped d where d.project_id is null))::text::xid8
$$;
