"""The console by docker compose, for real: `make test-compose`."""
