"""Supervision of runs in processes, the same for the runner and for Celery's workers; it never imports eventlet.

A run's process is forked from a template and watched by a warden (app/child); the supervisor reads what it prints by
descriptor, renews its lease, obeys Stop, enforces limits, and writes its one final status.
"""

from app.supervise.spawn import Command, SpawnFailed
from app.supervise.supervisor import STOPPED, Supervisor, make_supervisor

__all__ = ["STOPPED", "Command", "SpawnFailed", "Supervisor", "make_supervisor"]
