"""Flower's settings: it watches workers and tasks and changes nothing. The broker is that of the Celery app.

Flower runs this file with ``--conf``; each name is one of its options. Address, port and the password come from
the Procfile.
"""

#: nobody revokes a task or stops a worker past the API, which keeps the records
read_only = True
natural_time = False
tasks_columns = "name,uuid,state,args,received,started,runtime,worker"
#: how much Flower remembers, in memory only; the database knows the rest
max_tasks = 10_000
max_workers = 500
persistent = False
#: forget workers that have been gone for this long, seconds
purge_offline_workers = 600
#: workers send task events only while Flower asks for them
enable_events = True
#: how long a worker may take to answer, milliseconds
inspect_timeout = 2000.0
#: a worker that does not answer at once, such as one that is starting, is no news
logging = "error"
