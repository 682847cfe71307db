"""A stand-in for Webex: login, tokens, people, rooms and messages over HTTP, with data and faults of one's choice."""
