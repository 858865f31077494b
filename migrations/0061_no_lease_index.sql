-- What runs is found by its state, and is never much: each claim and each renewal wrote an entry here that a look then had to pass.
drop index deployment_jobs_leased;
