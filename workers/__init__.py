"""What runs in the background: Celery tasks, the runner around them, the schedule."""
