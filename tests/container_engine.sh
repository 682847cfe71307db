#!/usr/bin/env bash
# container_engine.sh - a real Docker engine on a Debian 12 machine that has no init
# system, no image registry and no running daemon; only Debian's package archive
# (and, for builds, the Python package index) need be reachable. Run as root.
#
#   container_engine.sh up                      install (once) and start dockerd
#   container_engine.sh images [TAG|FILE ...]   make base images locally; FILE is a Dockerfile or
#                                               a compose file whose FROM / image: lines are read
#   container_engine.sh down                    stop containers and dockerd, keep images and volumes
#   container_engine.sh status                  what runs, what disk it takes
#   container_engine.sh purge                   down, then delete images, volumes and build cache
#
# Every subcommand may be repeated. Settings (environment):
#   CE_DIR=/var/lib/container-engine   data root, log, pid file, private apt state
#   CE_STORAGE="overlay2 vfs"          storage drivers to try, in order
#   CE_PYTHON=auto|pyenv|source        where python:X.Y comes from (see make_python)
#   CE_FORCE=1                         `images` rebuilds tags that are already there
#   CE_ALPINE=debian                   serve *alpine* tags with the Debian-made image (no apk in it)
set -euo pipefail

CE_DIR=${CE_DIR:-/var/lib/container-engine}
CE_STORAGE=${CE_STORAGE:-overlay2 vfs}
CE_PYTHON=${CE_PYTHON:-auto}
CE_FORCE=${CE_FORCE:-}
CE_IMAGES=${CE_IMAGES:-python:3.11-slim-bookworm nginx:stable redis:7}
# The archive the machine itself uses, without its last path part (.../debian).
MIRROR=${CE_MIRROR:-$(grep -hoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
  /etc/apt/sources.list.d/*.list 2>/dev/null | grep -v snapshot | head -n 1 | sed -E 's#/debian/? *$##' || true)}
[ -n "$MIRROR" ] || { echo 'no Debian archive in the apt sources: set CE_MIRROR' >&2; exit 1; }
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
PIDFILE=$CE_DIR/dockerd.pid
LOG=$CE_DIR/dockerd.log
export DOCKER_HOST=${CE_HOST:-unix:///var/run/docker.sock}
export DEBIAN_FRONTEND=noninteractive BUILDKIT_PROGRESS=plain

say() { printf '[container_engine] %s\n' "$*" >&2; }
die() { say "ERROR: $*"; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "run as root"; }

# ---------------------------------------------------------------- install

# apt with its own sources, lists, pins and cache: the machine's apt set-up is not changed.
# Engine, compose v2 and buildx come from Debian 13 (they need only glibc 2.34), all else,
# runc and iptables included, stays at Debian 12's versions.
ce_apt() {
  local a=$CE_DIR/apt
  apt-get -qq -o Dir::Etc::sourcelist="$a/ce.sources" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences="$a/prefs" -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State::lists="$a/lists" -o Dir::Cache="$a/cache" -o Dpkg::Use-Pty=0 \
    -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false \
    -o Acquire::Languages=none -o DPkg::Lock::Timeout=300 "$@"
}

compose_ok() { docker compose version >/dev/null 2>&1; }

install_engine() {
  if command -v dockerd >/dev/null && command -v containerd >/dev/null && command -v runc >/dev/null \
     && command -v iptables >/dev/null && command -v mmdebstrap >/dev/null \
     && command -v docker >/dev/null && compose_ok && docker buildx version >/dev/null 2>&1; then
    return 0
  fi
  local a=$CE_DIR/apt policy='' pkgs=(docker.io docker-buildx docker-compose mmdebstrap iptables runc tini)
  command -v docker >/dev/null || pkgs+=(docker-cli)
  [ -s /etc/ssl/certs/ca-certificates.crt ] || pkgs+=(ca-certificates)
  say "installing: ${pkgs[*]}"
  mkdir -p "$a/lists/partial" "$a/cache/archives/partial"
  cat >"$a/ce.sources" <<EOF
Types: deb
URIs: $MIRROR/debian
Suites: bookworm trixie
Components: main
Signed-By: $KEYRING

Types: deb
URIs: $MIRROR/debian-security
Suites: bookworm-security
Components: main
Signed-By: $KEYRING
EOF
  cat >"$a/prefs" <<'EOF'
Package: *
Pin: release n=trixie
Pin-Priority: 50

Package: docker.io containerd docker-cli docker-compose docker-buildx
Pin: release n=trixie
Pin-Priority: 990
EOF
  if [ ! -e /usr/sbin/policy-rc.d ]; then     # the packages must not start a daemon themselves
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; policy=mine
  fi
  ce_apt update
  ce_apt install -y --no-install-recommends "${pkgs[@]}" >"$CE_DIR/install.log" 2>&1 \
    || { tail -20 "$CE_DIR/install.log" >&2; die "apt install failed"; }
  [ -z "$policy" ] || rm -f /usr/sbin/policy-rc.d
  rm -rf "$a/cache" "$a/lists"
}

# ---------------------------------------------------------------- engine

alive() { [ -s "$PIDFILE" ] && kill -0 "$(cat "$PIDFILE")" 2>/dev/null; }
answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# A machine without an init system may have no cgroup tree; most have one already.
ensure_cgroups() {
  [ -d /sys/fs/cgroup ] || return 0
  if ! grep -qE ' cgroup2? ' /proc/self/mounts; then
    say "mounting cgroup2"
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
}

start_engine() {
  local sd mtu dev pid
  if answers; then say "engine already runs: $(docker version --format '{{.Server.Version}}')"; return 0; fi
  ! alive || die "dockerd (pid $(cat "$PIDFILE")) lives but does not answer; see $LOG"
  ensure_cgroups
  dev=$(ip -o route show default | awk '{for(i=1;i<NF;i++) if($i=="dev"){print $(i+1); exit}}')
  mtu=$(cat "/sys/class/net/${dev:-lo}/mtu"); [ "$mtu" -le 1500 ] || mtu=1500
  for sd in $CE_STORAGE; do
    cat >"$CE_DIR/daemon.json" <<EOF
{
  "data-root": "$CE_DIR/data",
  "pidfile": "$PIDFILE",
  "hosts": ["$DOCKER_HOST"],
  "storage-driver": "$sd",
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "mtu": $mtu,
  "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "$mtu"}}
}
EOF
    rm -f "$PIDFILE"
    # own session, own log: it outlives the shell that started it
    setsid dockerd --config-file "$CE_DIR/daemon.json" </dev/null >>"$LOG" 2>&1 &
    pid=$!
    for _ in $(seq 1 60); do
      if answers; then
        say "engine $(docker version --format '{{.Server.Version}}') up, storage driver $sd, mtu $mtu, log $LOG"
        return 0
      fi
      kill -0 "$pid" 2>/dev/null || alive || break
      sleep 0.5
    done
    say "dockerd with storage driver $sd did not come up; last lines of $LOG:"; tail -5 "$LOG" >&2
    if alive; then kill "$(cat "$PIDFILE")"; sleep 3; fi
  done
  die "no storage driver of '$CE_STORAGE' worked"
}

cmd_up() {
  need_root; mkdir -p "$CE_DIR"
  install_engine
  start_engine
}

cmd_down() {
  need_root
  local ids pid
  if answers; then
    ids=$(docker ps -q)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker stop -t 10 $ids >/dev/null
  fi
  if alive; then
    pid=$(cat "$PIDFILE"); kill "$pid"
    for _ in $(seq 1 60); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
    ! kill -0 "$pid" 2>/dev/null || die "dockerd $pid did not end"
    say "engine stopped"
  else
    say "no engine of $CE_DIR runs"
  fi
  # The bridges and packet-filter chains dockerd leaves behind are harmless; docker0 goes, so
  # that nothing of ours stays on the machine's routing table.
  ip link delete docker0 2>/dev/null || true
}

cmd_purge() {
  local ids t
  if answers; then      # lets dockerd take its own bridges and packet-filter rules away
    ids=$(docker ps -aq)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker rm -f $ids >/dev/null
    docker network prune -f >/dev/null
  fi
  cmd_down
  for t in iptables ip6tables; do
    "$t-save" 2>/dev/null | grep -vE 'DOCKER|docker0|br-[0-9a-f]{12}' | "$t-restore" || true
    "$t" -P FORWARD ACCEPT || true
  done
  awk -v d="$CE_DIR/data" 'index($2, d) == 1 {print $2}' /proc/self/mounts | sort -r \
    | while read -r m; do umount "$m" || true; done
  rm -rf "$CE_DIR/data" "$CE_DIR"/tmp.*
  say "images, volumes and build cache deleted"
}

cmd_status() {
  if answers; then
    docker version --format 'client {{.Client.Version}}, engine {{.Server.Version}}'
    docker compose version
    docker info --format 'storage {{.Driver}}, cgroup v{{.CgroupVersion}} ({{.CgroupDriver}}), root {{.DockerRootDir}}'
    docker system df
  else
    say "engine is not running"
  fi
  du -sh "$CE_DIR" 2>/dev/null || true
}

# ---------------------------------------------------------------- base images

alpine() { # TAG: true, with a warning, where a Debian-made stand-in was asked for
  case $1 in *alpine*) ;; *) return 0 ;; esac
  [ "${CE_ALPINE:-}" = debian ] || die "$1: Alpine images cannot be made from Debian's archive (CE_ALPINE=debian: stand-in without apk)"
  say "WARNING: $1 is Debian inside, not Alpine"
}

declare -A MADE=()
have() { # TAG: true if it is there (with CE_FORCE: made by this very run)
  if [ -n "$CE_FORCE" ] && [ -z "${MADE[$1]:-}" ]; then MADE[$1]=1; return 1; fi
  docker image inspect "$1" >/dev/null 2>&1
}

# Runs `docker build` on a Dockerfile from standard input, in a small private context.
build() { # TAG CONTEXT_DIR
  cat >"$2/Dockerfile"
  docker build --label container-engine.local=1 -t "$1" "$2" >"$CE_DIR/build.log" 2>&1 \
    || { tail -30 "$CE_DIR/build.log" >&2; rm -rf "$2"; die "docker build of $1 failed"; }
}

# debian:<suite>-slim. The machine's own certificate authorities and its tolerance of stale
# archive dates go in, so that apt and TLS work in a build the way they do on the machine.
make_debian() { # SUITE
  local suite=$1 tag=debian:$1-slim t sec=()
  have "$tag" && return 0
  say "making $tag"
  t=$(mktemp -d "$WORK/XXXXXX")
  case $suite in
    sid|forky) ;;
    *) sec=("deb $MIRROR/debian $suite-updates main" "deb $MIRROR/debian-security $suite-security main") ;;
  esac
  mkdir -p "$t/extra/usr/local/share/ca-certificates" "$t/extra/etc/apt/apt.conf.d"
  cp /usr/local/share/ca-certificates/*.crt "$t/extra/usr/local/share/ca-certificates/" 2>/dev/null || true
  cat >"$t/extra/etc/apt/apt.conf.d/99container-engine" <<'EOF'
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages "none";
EOF
  mmdebstrap --quiet --mode=root --variant=minbase --keyring="$KEYRING" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook="copy-in $t/extra/usr $t/extra/etc /" \
    "$suite" "$t/rootfs.tar" "deb $MIRROR/debian $suite main" "${sec[@]}" >"$CE_DIR/mmdebstrap.log" 2>&1 \
    || { tail -20 "$CE_DIR/mmdebstrap.log" >&2; die "mmdebstrap $suite failed"; }
  docker import -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'LABEL container-engine.local=1' "$t/rootfs.tar" "$tag" >/dev/null
  docker tag "$tag" "debian:$suite"
  rm -rf "$t"
}

# python:X.Y[...]: CPython under /usr/local with /usr/local/lib/pythonX.Y/site-packages, as in the
# official image. "pyenv" copies the machine's pyenv build of that version (seconds); "source"
# compiles Debian's upstream tarball (minutes; 3.11, 3.13 and what sid has).
make_python() { # TAG
  local tag=$1 v=${1#*:} ver suite=bookworm how=$CE_PYTHON src='' t ssuite run pips
  [[ $v =~ ^([0-9]+\.[0-9]+) ]] || die "$tag: give a version such as python:3.11-slim-bookworm"
  ver=${BASH_REMATCH[1]}
  alpine "$tag"
  case $v in *trixie*) suite=trixie ;; esac
  have "$tag" && return 0
  make_debian "$suite"
  src=$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -maxdepth 1 -name "$ver.*" 2>/dev/null | sort -V | tail -1 || true)
  [ "$how" != auto ] || { [ -n "$src" ] && how=pyenv || how=source; }
  say "making $tag (from $how)"
  run='ca-certificates netbase tzdata libbz2-1.0 libffi8 libgdbm6 liblzma5 libncursesw6 libreadline8 libsqlite3-0 libuuid1 zlib1g'
  case $suite in trixie) run="${run/libreadline8/libreadline8t64} libssl3t64"; run=${run/libgdbm6/libgdbm6t64} ;; *) run="$run libssl3" ;; esac
  t=$(mktemp -d "$WORK/XXXXXX"); mkdir -p "$t/usr_local/bin"
  case $ver in 3.[0-9]|3.10|3.11) pips='pip setuptools wheel' ;; *) pips=pip ;; esac   # as the official images do
  # pip reads no system store in older versions: point it at the bundle that has the machine's CAs
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ndefault-timeout = 180\n' >"$t/pip.conf"
  if [ "$how" = pyenv ]; then
    [ -n "$src" ] || die "no pyenv build of $ver"
    mkdir -p "$t/usr_local"/{lib,include}
    cp -a "$src/bin/python$ver" "$t/usr_local/bin/"
    cp -a "$src/include/python$ver"* "$t/usr_local/include/"
    # shellcheck disable=SC2046
    tar -C "$src/lib" --exclude='*/site-packages/*' --exclude='*/test' --exclude=__pycache__ --exclude='*.a' -cf - \
      $(cd "$src/lib" && ls -d "python$ver" libpython* 2>/dev/null) | tar -C "$t/usr_local/lib" -xf -
    build "$tag" "$t" <<EOF
FROM debian:$suite-slim
RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends $run && rm -rf /var/lib/apt/lists/*
COPY usr_local/ /usr/local/
COPY pip.conf /etc/pip.conf
RUN ldconfig && cd /usr/local/bin && ln -sf python$ver python3 && ln -sf python3 python \\
 && python3 -m ensurepip --default-pip && ln -sf pip3 pip && python3 -m pip install -q -U $pips --root-user-action=ignore \\
 && python3 -c 'import ssl, sqlite3, lzma, bz2, ctypes, readline, uuid, zlib, venv'
ENV LANG=C.UTF-8 PYTHON_VERSION=${src##*/}
CMD ["python3"]
EOF
  else
    case $ver in 3.11) ssuite=bookworm ;; 3.13) ssuite=trixie ;; *) ssuite=sid ;; esac
    build "$tag" "$t" <<EOF
FROM debian:$suite-slim AS build
RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends gcc libc6-dev make xz-utils pkg-config \\
      libbz2-dev libffi-dev libgdbm-dev liblzma-dev libncurses-dev libreadline-dev libsqlite3-dev libssl-dev uuid-dev zlib1g-dev
WORKDIR /src
RUN printf 'deb-src $MIRROR/debian $ssuite main\n' >/etc/apt/sources.list.d/src.list \\
 && apt-get -qq update && apt-get -qq install -y --no-install-recommends dpkg-dev \\
 && apt-get -qq source --download-only python$ver/$ssuite && mkdir py && tar -C py --strip-components=1 -xf python$ver*.orig.tar.?z
RUN cd py && ./configure -q --prefix=/usr/local --enable-shared --enable-loadable-sqlite-extensions --disable-test-modules \\
 && make -s -j\$(nproc) >/dev/null && make -s install DESTDIR=/out ENSUREPIP=no >/dev/null && find /out -name '*.a' -delete
FROM debian:$suite-slim
RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends $run && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/local/ /usr/local/
COPY pip.conf /etc/pip.conf
RUN ldconfig && cd /usr/local/bin && ln -sf python3 python \\
 && python3 -m ensurepip --default-pip && ln -sf pip3 pip && python3 -m pip install -q -U $pips --root-user-action=ignore \\
 && python3 -c 'import ssl, sqlite3, lzma, bz2, ctypes, readline, uuid, zlib, venv'
ENV LANG=C.UTF-8
CMD ["python3"]
EOF
  fi
  rm -rf "$t"
}

# nginx:*: Debian 13's nginx behind the official image's file layout, user and entry point
# (conf.d, /usr/share/nginx/html, logs on stdout/stderr, /etc/nginx/templates/*.template).
make_nginx() { # TAG
  local tag=$1 t
  alpine "$tag"
  have "$tag" && return 0
  make_debian trixie
  say "making $tag"
  t=$(mktemp -d "$WORK/XXXXXX")
  cat >"$t/nginx.conf" <<'EOF'
user  nginx;
worker_processes  auto;
error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;
events {
    worker_connections  1024;
}
http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';
    access_log  /var/log/nginx/access.log  main;
    sendfile        on;
    keepalive_timeout  65;
    include /etc/nginx/conf.d/*.conf;
}
EOF
  cat >"$t/default.conf" <<'EOF'
server {
    listen       80;
    server_name  localhost;
    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
EOF
  cat >"$t/20-envsubst-on-templates.sh" <<'EOF'
#!/bin/sh
set -e
dir=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}; suf=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
out=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
[ -d "$dir" ] || exit 0
vars=$(awk 'END { for (n in ENVIRON) printf "${%s} ", n }' </dev/null)
find "$dir" -follow -type f -name "*$suf" -print | while read -r f; do
  rel=${f#"$dir/"}; dst=$out/${rel%"$suf"}; mkdir -p "$(dirname "$dst")"; envsubst "$vars" <"$f" >"$dst"
done
EOF
  cat >"$t/docker-entrypoint.sh" <<'EOF'
#!/bin/sh
set -e
case ${1:-} in nginx|nginx-debug)
  for f in $(find /docker-entrypoint.d/ -follow -type f | sort -V); do
    case $f in
      *.envsh) [ ! -x "$f" ] || . "$f" ;;
      *.sh) [ ! -x "$f" ] || "$f" ;;
    esac
  done ;;
esac
exec "$@"
EOF
  chmod 755 "$t"/*.sh
  build "$tag" "$t" <<'EOF'
FROM debian:trixie-slim
RUN groupadd -r -g 101 nginx && useradd -r -g nginx -u 101 -d /nonexistent -s /bin/false nginx \
 && apt-get -qq update && apt-get -qq install -y --no-install-recommends nginx gettext-base ca-certificates curl tzdata && rm -rf /var/lib/apt/lists/* \
 && rm -rf /etc/nginx/sites-* /etc/nginx/snippets /etc/nginx/modules-enabled/* && mkdir -p /etc/nginx/conf.d /docker-entrypoint.d /var/cache/nginx \
 && [ -e /usr/share/nginx/html/50x.html ] || echo '<h1>50x</h1>' >/usr/share/nginx/html/50x.html \
 && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
COPY nginx.conf /etc/nginx/nginx.conf
COPY default.conf /etc/nginx/conf.d/default.conf
COPY 20-envsubst-on-templates.sh /docker-entrypoint.d/
COPY docker-entrypoint.sh /
RUN nginx -t
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
EOF
  rm -rf "$t"
}

# redis:7* (Debian 12's 7.0) and redis:8* (Debian 13's 8.0) with the official image's /data volume, user and
# entry point. The official binary is compiled with protected-mode off; a wrapper does the same.
make_redis() { # TAG
  local tag=$1 suite=bookworm t
  alpine "$tag"
  case ${tag#*:} in 7|7.*|7-*|bookworm) ;; 8|8.*|8-*|latest|trixie|alpine) suite=trixie ;; *) die "$tag: Debian has redis 7.0 and 8.0 only" ;; esac
  have "$tag" && return 0
  make_debian "$suite"
  say "making $tag"
  t=$(mktemp -d "$WORK/XXXXXX")
  cat >"$t/redis-server" <<'EOF'
#!/bin/sh
for a; do
  case $a in --protected-mode|--version|-v|--help|-h|--test-memory|--check-system) exec /usr/bin/redis-server "$@" ;; esac
done
if [ -f "${1:-}" ] && grep -Eqi '^[[:space:]]*protected-mode' "$1"; then exec /usr/bin/redis-server "$@"; fi
exec /usr/bin/redis-server "$@" --protected-mode no
EOF
  cat >"$t/docker-entrypoint.sh" <<'EOF'
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
um=$(umask); [ "$um" != 0022 ] || umask 0077
exec "$@"
EOF
  chmod 755 "$t/redis-server" "$t/docker-entrypoint.sh"
  build "$tag" "$t" <<EOF
FROM debian:$suite-slim
RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis \\
 && apt-get -qq update && apt-get -qq install -y --no-install-recommends redis-server redis-tools tzdata && rm -rf /var/lib/apt/lists/* /etc/redis \\
 && mkdir /data && chown redis:redis /data && ln -s /usr/bin/redis-cli /usr/bin/redis-benchmark /usr/local/bin/
COPY redis-server docker-entrypoint.sh /usr/local/bin/
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
EOF
  rm -rf "$t"
}

# FROM lines of Dockerfiles and image: lines of compose files; ARG defaults and ${NAME:-default} are
# filled in, stage names left out.
tags_of() { # FILE
  awk 'function fill(x,  m, n, d) {
         while (match(x, /\$(\{[A-Za-z_0-9]+(:?-[^}]*)?\}|[A-Za-z_0-9]+)/)) {
           m = substr(x, RSTART + 1, RLENGTH - 1); gsub(/[{}]/, "", m); n = m; d = ""
           if (match(m, /:?-/)) { n = substr(m, 1, RSTART - 1); d = substr(m, RSTART + RLENGTH) }
           if (n in arg) d = arg[n]
           match(x, /\$(\{[A-Za-z_0-9]+(:?-[^}]*)?\}|[A-Za-z_0-9]+)/); x = substr(x, 1, RSTART - 1) d substr(x, RSTART + RLENGTH)
         }
         gsub(/["\047]/, "", x); return x }
       toupper($1) == "ARG" && (e = index($2, "=")) { arg[substr($2, 1, e - 1)] = substr($2, e + 1) }
       toupper($1) == "FROM" { i = 2; while ($i ~ /^--/) i++; f = fill($i); if (f != "" && !(f in st) && f != "scratch") print f
                               if (toupper($(i+1)) == "AS") st[$(i+2)] }
       $1 == "image:" && $2 != "" { print fill($2) }' "$1"
}

cmd_images() {
  need_root; answers || die "no engine: run '$0 up' first"
  local a t list=()
  WORK=$(mktemp -d "$CE_DIR/tmp.XXXXXX"); trap 'rm -rf "$WORK"' EXIT
  # shellcheck disable=SC2086
  [ $# -gt 0 ] || set -- $CE_IMAGES
  for a; do
    if [ -f "$a" ]; then while read -r t; do list+=("$t"); done < <(tags_of "$a" | sort -u); else list+=("$a"); fi
  done
  for t in "${list[@]}"; do
    case $t in *@sha256:*) say "WARNING: $t is pinned by digest: no local image can satisfy it"; continue ;; esac
    [[ $t == *:* ]] || t=$t:latest
    case $t in
      python:*) make_python "$t" ;;
      nginx:*) make_nginx "$t" ;;
      redis:*) make_redis "$t" ;;
      debian:*) a=${t#debian:}; a=${a%-slim}; a=${a/latest/trixie}; a=${a/stable/trixie}
                make_debian "$a"; docker tag "debian:$a-slim" "$t" ;;
      *) have "$t" || say "no recipe for $t (left alone)"; continue ;;
    esac
    say "ready: $t ($(docker run --rm --network none --entrypoint sh "$t" -c '
      python3 -V 2>/dev/null || nginx -v 2>&1 || true; redis-server --version 2>/dev/null | cut -d" " -f1-3; sed -n "s/^PRETTY_NAME=//p" /etc/os-release' \
      | grep -v 'not found' | paste -sd, ))"
  done
}

case ${1:-} in
  up|down|status|purge) cmd_"$1" ;;
  images) shift; cmd_images "$@" ;;
  *) sed -n '2,18p' "$0"; exit 2 ;;
esac
