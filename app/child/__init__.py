"""What a run's own processes are made of: the template, which is forked, the warden over each run, and the job itself.

Nothing here knows the store, the web or a secret of the settings: the supervisor (app/supervise) asks and answers over
sockets that die with it.
"""
