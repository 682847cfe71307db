"""The executors: where a run happens. They are strangers to each other and share one contract (base.py)."""
