"""Python's collector of garbage in processes that serve: what is loaded stays, and full collections are rare."""

from __future__ import annotations

import gc

# A full collection looks at every object and stops all else: a web server for a second with ten thousand open pages, a
# runner for as long as a line of any of its runs may take. Heartbeats make many objects that live for some time: so it
# comes once in 600,000 of them, not 70,000.
THRESHOLDS = (1000, 20, 30)


def settle() -> None:
    """To be called once all is loaded: nothing that is there now is looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
