"""What the history service does in the background."""

from services.jobs.jobs import JobKind, Queue, Reach

# Every portfolio whose day has turned, or whose rates or values changed since: the schedule asks for it.
ROLL_UP_DUE = JobKind("history.roll_up_due", queue=Queue.HISTORY, reach=Reach.PLATFORM, time_limit_s=840, lease_s=300)
