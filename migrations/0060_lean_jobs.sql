-- Nobody reads when a row of a job was changed last: its events tell that. Each claim and each end ran a trigger for it.
drop trigger deployment_jobs_touch on deployment_jobs;
alter table deployment_jobs drop column updated_at;
