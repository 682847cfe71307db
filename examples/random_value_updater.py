"""Sets channels A to Z to random values, once a second, so that there is something to stream: docs/channels.md.

It asks the HTTP API with a token that has the scope `channels`; Python alone is enough. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import string
import sys
import time
import urllib.error
import urllib.request

NAMES = string.ascii_uppercase
HIGHEST = 100
# About so many of the channels change each time.
SHARE = 0.2
SECONDS = 1.0
RETRY_STATUSES = (429, 503)


def set_channels(url: str, token: str, values: dict[str, int]) -> None:
    """Set channels by one call.

    Raises: urllib's HTTPError where the server refuses, and URLError where it does not answer.
    """
    request = urllib.request.Request(
        f"{url}/api/v1.0/channels",
        data=json.dumps({"values": values}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="PATCH",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def changes() -> dict[str, int]:
    """Random values for about a fifth of the channels."""
    return {name: random.randint(0, HIGHEST) for name in NAMES if random.random() < SHARE}


def main() -> int:
    """Set zeroes, then random values for ever; the exit code: 1 where the server refuses, 2 without a token."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("URL", "http://localhost:5000"), help="the server's address")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time between changes (1)")
    parser.add_argument("--times", type=int, default=0, help="end after so many changes (0: never)")
    options = parser.parse_args()
    token = os.environ.get("TOKEN", "")
    if not token:
        print("TOKEN is not set: make one with the scope `channels` on the page /tokens.", file=sys.stderr)
        return 2
    values, done = dict.fromkeys(NAMES, 0), 0
    while True:
        try:
            if values:
                set_channels(options.url, token, values)
            done += 1
            if done > options.times > 0:
                return 0
            values = changes()
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
            print(f"{error.code}: {told}", file=sys.stderr)
            if error.code not in RETRY_STATUSES:
                return 1
        except OSError as error:
            print(f"{options.url} does not answer ({error}); trying again", file=sys.stderr)
        time.sleep(options.seconds)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
