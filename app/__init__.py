"""Flask-Realtime: Python functions as pages with a Start button, live output and a Stop button."""

__version__ = "0.1.0"
