-- What a rollout needs to know: who may pull from which registry, and which secrets and configs a release names.

-- One row a host: what the Engine sends to that registry for images of this project.
create table registries (
  id uuid primary key,
  project_id uuid not null references projects on delete cascade,
  host text not null, -- as images name it: "docker.io", "registry.example.com:5000"
  username text not null,
  password bytea not null, -- sealed
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint registries_host_key unique (project_id, host)
);
create index registries_listed on registries (project_id, id desc);
create trigger registries_touch before update on registries for each row execute function skep_touch();

-- The Engine's names of the secrets and configs that the release renders: they are kept while a roll-back to it
-- is likely. Releases from before have none: a roll-back to one makes its objects anew.
alter table deployments add column objects text[] not null default '{}';
