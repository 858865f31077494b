-- The smallest UUIDv7 of a moment: ids sort by the time they were made, so an id stands for when.
create function skep_uuid_floor(t timestamptz) returns uuid language sql immutable parallel safe as $$
  select (lpad(to_hex(greatest(0, floor(extract(epoch from t) * 1000))::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
