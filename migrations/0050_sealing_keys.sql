-- Which keys seal, the newest last, so that no daemon starts that could not open what the others seal.
create table sealing_keys (
  id text primary key,
  since timestamptz not null default clock_timestamp()
);

-- A daemon that starts holds these keys, and seals with the first. '' = it may; otherwise the key that daemons seal with
-- since latest, which it does not hold. Without a key it only asks. `anew`: that key is lost, the first one takes its place.
create function skep_sealing_key(held text[], anew boolean) returns text language plpgsql as $$
declare
  latest text;
begin
  perform pg_advisory_xact_lock(hashtext('skep_sealing_keys'));
  select k.id into latest from sealing_keys k order by k.since desc limit 1;
  if latest is not null and latest <> all (held) and not anew then
    return latest;
  end if;
  if cardinality(held) > 0 then
    insert into sealing_keys as k (id) values (held[1])
      on conflict (id) do update set since = case when anew then clock_timestamp() else k.since end;
  end if;
  return '';
end $$;
