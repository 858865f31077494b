-- The truthful end: why a job failed, service by service; a deploy that goes on in spite of a failure; what a failed
-- deploy has left half done; going back to an earlier release.

alter type failure_policy add value 'continue';

-- JSON: [{service, message, task, slot, node, error, exit_code, oom_killed, health, registry, hint, nodes, log}]
alter table deployment_jobs add column failures jsonb not null default '[]';

-- Until some release is whole again: why the Engine does not hold the active one, and what to do about it.
alter table orchestration_stacks add column unfinished text not null default '';

alter table deployments
  add column stall_seconds integer not null default 0,   -- 0: the daemon's stall_limit
  add column rolled_back_to bigint not null default 0,   -- the release whose texts and objects it has
  add column source_of uuid, add column rendered_of uuid; -- the release they were sealed for; null: this one

-- Which release a roll-back of the (locked) stack goes to; 0: the last good one before what is there now.
create function skep_rollback_target(sid uuid, want bigint) returns uuid language plpgsql stable as $$
declare
  s orchestration_stacks;
  t deployments;
  before bigint;
begin
  select * into s from orchestration_stacks where id = sid;
  if want = 0 then
    if exists (select from deployment_jobs j where j.stack_id = sid and j.state in ('pending', 'running')
      and j.kind in ('deploy', 'update', 'rollback')) then
      perform skep_raise(9, format('a deploy of stack "%s" has not ended: cancel it (skep job cancel), or name'
        ' the release to go back to', s.name));
    end if;
    if s.unfinished <> '' and s.active_deployment_id is not null then
      select * into t from deployments where id = s.active_deployment_id;
    else
      -- A roll-back is not gone back to what it fled from.
      select coalesce(nullif(d.rolled_back_to, 0), d.number) into before from deployments d
        where d.id = s.active_deployment_id;
      select * into t from deployments d where d.stack_id = sid and d.state = 'superseded' and d.number < before
        and d.rendered is not null order by d.number desc limit 1;
    end if;
    if t.id is null then
      perform skep_raise(9, format('stack "%s" has no good release before the one that runs', s.name));
    end if;
  else
    select * into t from deployments d where d.stack_id = sid and d.number = want;
    if t.id is null then
      perform skep_raise(5, format('stack "%s" has no release %s: skep stack releases lists them', s.name, want));
    end if;
    if t.state not in ('active', 'superseded') then
      perform skep_raise(9, format('release %s of stack "%s" never ran (it is %s): only one that did can be gone back to',
        want, s.name, t.state));
    end if;
  end if;
  if t.rendered is null then
    perform skep_raise(9, format('what release %s of stack "%s" sent to the Engine is not known: deploy its text again',
      t.number, s.name));
  end if;
  return t.id;
end $$;
