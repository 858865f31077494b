-- Stacks that `docker stack deploy` made, taken over without touching a task.

alter type job_kind add value 'adopt';

-- Its networks, secrets and configs carry the namespace but not our label, which the Engine lets nobody put on
-- a network later: what carries the namespace and no stack's label belongs to it.
alter table orchestration_stacks add column adopted boolean not null default false;
