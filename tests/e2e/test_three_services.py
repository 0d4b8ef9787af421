"""A Compose file of three services, a web page with a database and a cache, brought up as it is on a real
kernel: PostgreSQL and Redis of this machine, in images made as the official ones are."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import Answer, Installation, ended
from tests.support.debian_programs import layer_of
from tests.support.postgres import binaries
from tests.support.registry import Entry, Layout, busybox, file, folder

#: As people write them: services as hosts, a database that is waited for, `.env`, a command of its own.
COMPOSE = """
x-common: &common
  restart: unless-stopped
  cap_drop: [ALL]
  logging:
    driver: json-file
    options: {max-size: 10m}

services:
  web:
    <<: *common
    image: ${REGISTRY}/visits:${TAG:-1}
    ports:
      - "8000:80"
    environment:
      - DATABASE_URL=postgres://visits:${POSTGRES_PASSWORD:?}@db:5432/visits
      - REDIS_HOST=cache
      - GREETING=${GREETING:-hello}
    cap_add: [NET_BIND_SERVICE]
    labels:
      org.example.service: web
    depends_on:
      db:
        condition: service_healthy
      cache:
        condition: service_started
    stop_grace_period: 2s

  db:
    <<: *common
    image: ${REGISTRY}/postgres:15
    hostname: database
    environment:
      POSTGRES_USER: visits
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}
      POSTGRES_DB: visits
    volumes:
      - db-data:/var/lib/postgresql/data
    shm_size: 64m
    ulimits:
      nofile: {soft: 2048, hard: 4096}
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U $$POSTGRES_USER"]
      interval: 5s
      timeout: 5s
      retries: 10
      start_period: 30s

  cache:
    <<: *common
    image: ${REGISTRY}/redis:7
    command: redis-server --save 60 1 --loglevel warning --bind 0.0.0.0 --protected-mode no --dir /data
    sysctls:
      net.core.somaxconn: 1024
    volumes:
      - cache-data:/data

volumes:
  db-data:
  cache-data:
"""
VISIT = """#!/bin/sh
echo "Content-type: text/plain"; echo
export PGCONNECT_TIMEOUT=20
psql -q "$DATABASE_URL" <<SQL
set client_min_messages = error;
create table if not exists seen (at text);
insert into seen values ('x');
SQL
rows=$(psql -At "$DATABASE_URL" -c 'select count(*) from seen')
echo "$GREETING $rows $(redis-cli -h $REDIS_HOST incr visits)"
"""
BEGIN_DATABASE = """#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 --locale=C -E UTF8 --no-sync
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres
fi
exec postgres -c 'listen_addresses=*' -c unix_socket_directories=/tmp
"""
_PATH = "PATH=/usr/bin:/bin"
_OWN = {"uid": 999, "gid": 999}


def _database(bin_: Path) -> tuple[list[Entry], dict[str, Any]]:
    """As the official image: its own user, who has the place of its data."""
    version = bin_.parent.name
    trees = [Path(f"/usr/share/postgresql/{version}"), Path("/usr/share/zoneinfo/Etc")]
    programs = [bin_ / one for one in ("postgres", "initdb", "pg_isready")]
    at = f"usr/lib/postgresql/{version}"
    modules = [bin_.parent / f"lib/{one}.so" for one in ("plpgsql", "dict_snowball")]
    entries = [
        *layer_of(programs, trees, f"{at}/bin"),
        folder(f"{at}/lib"),
        *(file(f"{at}/lib/{one.name}", one.read_bytes(), mode=0o755) for one in modules),
        file("etc/passwd", b"root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n"),
        folder("var/lib/postgresql/data", mode=0o700, **_OWN),
        folder("tmp", mode=0o1777),
        file("usr/bin/begin", BEGIN_DATABASE.encode(), mode=0o755),
    ]
    config = {
        "Entrypoint": ["/bin/sh", "/usr/bin/begin"],
        "User": "postgres",
        "Env": [f"PATH=/{at}/bin:/usr/bin:/bin", "PGDATA=/var/lib/postgresql/data"],
        "ExposedPorts": {"5432/tcp": {}},
        "Volumes": {"/var/lib/postgresql/data": {}},
        "StopSignal": "SIGINT",
    }
    return entries, config


def _cache() -> tuple[list[Entry], dict[str, Any]]:
    entries = [*layer_of([Path("/usr/bin/redis-server"), Path("/usr/bin/redis-cli")]), folder("data", **_OWN)]
    return entries, {"User": "999:999", "Env": [_PATH], "Cmd": ["redis-server"], "WorkingDir": "/data"}


def _web(bin_: Path) -> tuple[list[Entry], dict[str, Any]]:
    entries = [
        *layer_of([bin_ / "psql", Path("/usr/bin/redis-cli")]),
        folder("www"),
        folder("www/cgi-bin"),
        file("www/cgi-bin/visit", VISIT.encode(), mode=0o755),
    ]
    return entries, {"Env": [_PATH], "Cmd": ["httpd", "-f", "-p", "80", "-h", "/www"]}


@pytest.fixture
def images(wadah: Installation, tmp_path: Path) -> Iterator[str]:
    """Where they are: in the registry of the installation."""
    bin_, redis = binaries(), Path("/usr/bin/redis-server")
    if bin_ is None or not redis.exists():
        pytest.skip("no PostgreSQL or no Redis here: apt-get install postgresql redis-server")
    host = urlsplit(wadah.url).netloc
    made = {"visits:1": _web(bin_), "postgres:15": _database(bin_), "redis:7": _cache()}
    for name, (entries, config) in made.items():
        layout = Layout(tmp_path / name.partition(":")[0])
        source = layout.named(layout.image(busybox(), entries, config=config))
        how = ["-q", "--dest-tls-verify=false", f"--dest-creds=x:{wadah.token}", source]
        words = ["skopeo", "--insecure-policy", "copy", *how, f"docker://{host}/demo/{name}"]
        subprocess.run(words, check=True, timeout=100)
    yield f"{host}/demo"
    for name in made:
        repository, tag = name.split(":")
        wadah.call("DELETE", f"/repositories/tags?name=demo/{repository}&tag={tag}")


def _visit(wadah: Installation, stack: str) -> str:
    """What the page says, asked by the service itself."""
    seen = wadah.call("GET", f"/stacks/{stack}").body
    (copy,) = next(each["environments"] for each in seen["services"] if each["name"] == "web")
    ask = {"command": ["/bin/busybox", "wget", "-qO-", "http://127.0.0.1/cgi-bin/visit"], "timeout_s": 30}
    answer = wadah.call("POST", f"/environments/{copy['environment']}/exec", ask)
    assert answer.status == 200, answer.body
    return str(answer.body["stdout"]).strip() or str(answer.body)


def _brought(wadah: Installation, asked: Answer) -> str:
    assert asked.status == 202, asked.body
    operation = asked.body["operation"]
    told = ended(wadah, operation["id"] if isinstance(operation, dict) else operation)
    assert told["state"] == "succeeded", told
    return str(asked.body["id"])


def test_web_database_and_cache(wadah: Installation, images: str) -> None:
    body = {
        "tenant": "demo",
        "name": "visits",
        "compose": COMPOSE,
        "env": f"REGISTRY={images}\nPOSTGRES_PASSWORD=not-a-word\n",
        "limits": {"memory_mb": 256, "disk_mb": 1024, "cpu": 1},
        "volume_mb": 512,
    }
    stack = _brought(wadah, wadah.call("POST", "/stacks", body))
    assert _visit(wadah, stack) == "hello 1 1"
    assert _visit(wadah, stack) == "hello 2 2"

    # a change of one service makes that one anew, and what was written stays
    seen = wadah.call("GET", f"/stacks/{stack}").body
    changed = {name: body[name] for name in ("compose", "env")}
    before = {each["name"]: each["environments"][0]["environment"] for each in seen["services"]}
    _brought(wadah, wadah.call("PUT", f"/stacks/{stack}", {**changed, "variables": {"GREETING": "again"}}))
    assert _visit(wadah, stack) == "again 3 3"
    seen = wadah.call("GET", f"/stacks/{stack}").body
    after = {each["name"]: each["environments"][0]["environment"] for each in seen["services"]}
    assert {name for name, one in after.items() if one != before[name]} == {"web"}

    assert wadah.call("DELETE", f"/stacks/{stack}?volumes=true").status == 202
    wadah.wait(lambda: wadah.call("GET", f"/stacks/{stack}").status == 404, 120)
