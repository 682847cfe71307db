#!/bin/sh
# The Redis of docker-compose-dev.yml by itself, with the same data, on port 6379 of this machine alone: for test.py.
# Stop it by `docker rm -f redis` before the compose project starts its own.
set -eu
cd "$(dirname "$0")"
folder=instance/redis
if [ ! -e "$folder/redis_password" ]; then
    (
        umask 077
        mkdir -p "$folder"
        head -c 32 /dev/urandom | base64 | tr -d '+/=\n' > "$folder/redis_password.part"
        mv "$folder/redis_password.part" "$folder/redis_password"
    )
fi
docker build -t app-redis -f Dockerfile-redis .
docker rm -f redis >/dev/null 2>&1 || true
docker run --name redis -d -p 127.0.0.1:6379:6379 -v "$PWD/redis_data:/data" -v "$PWD/$folder:/run/secrets:ro" app-redis
