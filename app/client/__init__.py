"""The command line as a client of the HTTP API; none of the server's parts is imported here."""
