"""Compose files read: what people write is understood, and what can't be had is refused by name and line."""
# ruff: noqa: E501 (files as people write them)

import time
from typing import Any

import pytest

from panel.stacks.compose import ComposeRefused, Condition, Project, Service, Source, read
from panel.stacks.compose.problems import MOST_NOTES


def project(text: str, **more: Any) -> Project:
    return read(Source(text, **more))


def one(text: str, **more: Any) -> Service:
    """A service of these keys, each on a line of its own behind the image's."""
    return project(
        f"services:\n  a:\n    image: x\n    {text}\nvolumes: {{data: , other: }}\n", **more
    ).services[0]


def refused(text: str, **more: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(ComposeRefused) as caught:
        project(text, **more)
    return [(each.line, each.place, each.text) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${A}", "a"),
        ("$A", "a"),
        ("$A-b", "a-b"),
        ("${NONE-d}", "d"),
        ("${NONE:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${EMPTY:-d}", "d"),
        ("${A:+x}", "x"),
        ("${NONE:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${NONE:-${A}b}", "ab"),
        ("${A:?why}", "a"),
        ("$$A $${A}", "$A ${A}"),
        ("${NONE}", ""),
        ("a}b", "a}b"),
        ("postgres://$A:${EMPTY}@db/$A?x={y}", "postgres://a:@db/a?x={y}"),
    ],
)
def test_variables_are_filled_in_by_the_specifications_table(text: str, filled: str) -> None:
    found = one(f"environment: ['X={text}']", variables={"A": "a", "EMPTY": ""})
    assert found.app["env"]["X"] == filled


@pytest.mark.parametrize("text", ["${NONE:?say}", "${NONE?say}", "${EMPTY:?say}"])
def test_a_variable_that_has_to_be_set_says_so_by_line(text: str) -> None:
    (problem,) = refused(f"services:\n  a:\n    image: '{text}'\n", variables={"EMPTY": ""})[:1]
    assert problem[0] in (2, 3)
    assert any("has to be set: say" in each[2] for each in refused(f"services: {{a: {{image: '{text}'}}}}"))


@pytest.mark.parametrize("text", ["$", "${", "${A", "${A:", "${1}", "$1", "${A!b}", "a $ b"])
def test_a_dollar_that_begins_no_variable_is_refused(text: str) -> None:
    assert refused(f"services: {{a: {{image: x, command: ['{text}']}}}}", variables={"A": "a"})


def test_nothing_of_the_panels_own_environment_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADAH_CANARY", "leaked")
    found = project(
        "services: {a: {image: x, environment: [WADAH_CANARY, 'B=${WADAH_CANARY}']}}", env="C=$WADAH_CANARY"
    )
    assert found.services[0].app["env"] == {"B": ""}


def test_a_file_of_variables() -> None:
    env = "# comment\nexport A=1\nB='$A'\nC=\"x ${A}\"\nD=${A}2 # more\n"
    found = one("environment: ['X=$A $B $C $D']", env=env)
    assert found.app["env"]["X"] == "1 $A x 1 12"
    assert one("environment: ['X=$A $D']", env=env, variables={"A": "9"}).app["env"]["X"] == "9 92"


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("command: run --all 'a b'", "args", ["run", "--all", "a b"]),
        ("command: [run, --all]", "args", ["run", "--all"]),
        ("entrypoint: /bin/x", "command", ["/bin/x"]),
        ("environment: {A: yes, B: 1.10, C: 010, D: }", "env", {"A": "yes", "B": "1.10", "C": "010"}),
        ("environment: [A=b=c, D]", "env", {"A": "b=c"}),
        ("user: '1000:1000'", "user", "1000:1000"),
        ("working_dir: /srv", "workdir", "/srv"),
        ("read_only: true", "read_only", True),
        ("tmpfs: /run", "tmpfs", ["/run"]),
        ("tmpfs: ['/run:size=1m,mode=0755']", "tmpfs", ["/run:size=1m,mode=0755"]),
        (
            "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 2m, mode: 0700}}]",
            "tmpfs",
            ["/t:size=2m,mode=0700"],
        ),
        ("shm_size: 64mb", "shm_mb", 64),
        ("init: true", "init", True),
        ("stop_signal: SIGINT", "stop_signal", "SIGINT"),
        ("extra_hosts: ['api:192.0.2.7']", "hosts", {"api": "192.0.2.7"}),
        (
            "healthcheck: {test: curl -f x, interval: 1m30s}",
            "health",
            {"command": ["/bin/sh", "-c", "curl -f x"], "interval": 90.0},
        ),
        (
            "healthcheck: {test: [CMD, pg_isready], retries: 5}",
            "health",
            {"command": ["pg_isready"], "retries": 5},
        ),
        ("healthcheck: {test: [NONE]}", "health", {"disable": True}),
        ("healthcheck: {disable: true}", "health", {"disable": True}),
        (
            "logging: {driver: syslog, options: {syslog-address: 'tcp+tls://logs.example:6514', tag: shop}}",
            "logs",
            {"to": "syslog+tls://logs.example:6514", "tag": "shop"},
        ),
        (
            "logging: {driver: loki, options: {loki-url: 'http://loki:3100/loki/api/v1/push', tag: '{{.Name}}'}}",
            "logs",
            {"to": "loki+http://loki:3100/loki/api/v1/push"},
        ),
        ("hostname: other", "hostname", "other"),
        ("labels: {a: b, c: }", "labels", {"a": "b", "c": ""}),
        ("labels: ['a=b=c', d]", "labels", {"a": "b=c", "d": ""}),
        ("cap_add: [NET_ADMIN]", "cap_add", ["NET_ADMIN"]),
        ("cap_drop: [ALL]", "cap_drop", ["ALL"]),
        ("sysctls: {net.core.somaxconn: 1024}", "sysctls", {"net.core.somaxconn": "1024"}),
        ("sysctls: [net.core.somaxconn=1024]", "sysctls", {"net.core.somaxconn": "1024"}),
        (
            "ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}",
            "ulimits",
            {"nproc": "65535", "nofile": "20000:40000"},
        ),
    ],
)
def test_keys_of_an_app(key: str, field: str, value: Any) -> None:
    assert one(key).app[field] == value


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("restart: unless-stopped", "restart", "always"),
        ("restart: no", "restart", "never"),
        ("restart: 'on-failure:5'", "restart", "on-failure"),
        ("deploy: {restart_policy: {condition: on-failure}}", "restart", "on-failure"),
        ("deploy: {replicas: 3}", "replicas", 3),
        ("scale: 2", "replicas", 2),
        ("deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}", "limits", {"cpu": 0.5, "memory_mb": 64}),
        ("mem_limit: 1g", "limits", {"memory_mb": 1024}),
        ("stop_grace_period: 1m", "stop_timeout_s", 60.0),
        ("dns: 9.9.9.9", "nameservers", ("9.9.9.9",)),
        ("devices: ['/dev/net/tun:/dev/net/tun']", "devices", ("/dev/net/tun",)),
        ("network_mode: none", "has_network", False),
        ("hostname: other", "aliases", ["other"]),
        ("networks: {default: {aliases: [b, c]}}", "aliases", ["b", "c"]),
        ("security_opt: ['no-new-privileges:true']", "devices", ()),
        ("privileged: false", "devices", ()),
    ],
)
def test_keys_of_an_environment(key: str, field: str, value: Any) -> None:
    assert getattr(one(key), field) == value


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("'80'", [(80, None, "tcp")]),
        ("'8080:80'", [(80, 8080, "tcp")]),
        ("'53:53/udp'", [(53, 53, "udp")]),
        ("'0.0.0.0:8080:80'", [(80, 8080, "tcp")]),
        ("'3000-3002:3000-3002'", [(3000, 3000, "tcp"), (3001, 3001, "tcp"), (3002, 3002, "tcp")]),
        ("'127.0.0.1:8080:80'", []),
        ("{target: 80, published: '8080', protocol: tcp, mode: host}", [(80, 8080, "tcp")]),
        ("22:22", [(22, 22, "tcp")]),
    ],
)
def test_ports_as_they_are_written(text: str, ports: list[tuple[int, int | None, str]]) -> None:
    """Not even `22:22` is a number to the base of 60."""
    assert [(each.port, each.node_port, each.protocol) for each in one(f"ports: [{text}]").ports] == ports


def test_volumes_configs_and_secrets() -> None:
    found = project(
        "services: {a: {image: x, volumes: ['data:/d:ro', {type: volume, source: data, target: /e},"
        " {type: tmpfs, target: /t}, './conf.ini:/etc/conf.ini:ro'], configs: [c, {source: c, target: /etc/c}],"
        " secrets: [s, {source: t, target: token}]}}\n"
        "volumes: {data: {driver_opts: {size: 5g}}}\n"
        "configs: {c: {content: 'hi $${x} $A'}}\n"
        "secrets: {s: {environment: A}, t: {file: ./t.txt}}\n",
        variables={"A": "a"},
        files={"conf.ini": "[a]", "./t.txt": "tt"},
    )
    (service,) = found.services
    assert [(each.volume, each.path, each.read_only) for each in service.mounts] == [
        ("data", "/d", True),
        ("data", "/e", False),
    ]
    assert service.app["files"] == {"/etc/conf.ini": "[a]", "/c": "hi ${x} a", "/etc/c": "hi ${x} a"}
    assert service.secrets == {"s": "a", "token": "tt"}
    assert found.volumes[0].size_mb == 5120


def test_services_come_behind_those_that_they_wait_for() -> None:
    found = project(
        "services:\n"
        "  web: {image: x, depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}}\n"
        "  job: {image: x, depends_on: [db]}\n"
        "  db: {image: x}\n"
        "  cache: {image: x, profiles: [more]}\n"
    )
    assert [each.name for each in found.services] == ["db", "job", "web"]
    assert found.services[2].waits["db"].condition is Condition.HEALTHY
    assert [
        each.name for each in project("services: {a: {image: x, profiles: [more]}}", profiles=["more"]).services
    ] == ["a"]


def test_anchors_and_merge_keys() -> None:
    found = project(
        "x-base: &base\n  image: x\n  environment: &env {A: '1'}\n"
        "services:\n  a: {<<: *base, restart: always}\n  b: {<<: *base, environment: {<<: *env, B: '2'}}\n"
    )
    assert [(each.image, each.app["env"], each.restart) for each in found.services] == [
        ("docker.io/library/x:latest", {"A": "1"}, "always"),
        ("docker.io/library/x:latest", {"A": "1", "B": "2"}, "never"),
    ]


REFUSED = """services:
  web:
    image: x
    privileged: true
    network_mode: host
    pid: host
    volumes_from: [db]
    colour: red
    volumes:
      - /:/host
      - /var/run/docker.sock:/var/run/docker.sock
      - ../up:/up
      - gone:/gone
    depends_on: [nobody]
    build: .
    cap_add: [SYS_MODULE]
    sysctls: {kernel.panic: 1}
    ulimits: {rtprio: 99}
  db:
    image: X Y
    devices: ['/dev/sda']
    restart: sometimes
servces: {}
"""


def test_all_that_cannot_be_had_is_told_at_once_by_name_and_line() -> None:
    assert [(line, place) for line, place, _text in refused(REFUSED)] == [
        (4, "services.web.privileged"),
        (5, "services.web.network_mode"),
        (6, "services.web.pid"),
        (7, "services.web.volumes_from"),
        (8, "services.web.colour"),
        (10, "services.web.volumes[0]"),
        (11, "services.web.volumes[1]"),
        (12, "services.web.volumes[2]"),
        (13, "services.web.volumes[3]"),
        (14, "services.web.depends_on.nobody"),
        (15, "services.web.build"),
        (16, "services.web.cap_add"),
        (17, "services.web.sysctls"),
        (18, "services.web.ulimits"),
        (20, "services.db.image"),
        (21, "services.db.devices[0]"),
        (22, "services.db.restart"),
        (23, "servces"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has services"),
        ("services: {}", "has services"),
        ("services: []", "has services"),
        ("- a", "has services"),
        ("{", "no YAML"),
        ("a: b: c", "no YAML"),
        ("\x00", "no YAML"),
        ("services: {a: {image: x}}\n---\nservices: {}", "second one"),
        ("services:\n a: {image: x}\n a: {image: y}", "stands here twice"),
        ("services: {a: {image: x, image: y}}", "stands here twice"),
        ("services: {a: {image: x}, A: {image: x}}", "same name"),
        ("services: {a: {image: x}, ' ': {image: x}}", "letters, digits"),
        (
            "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [c]}, c: {image: x, depends_on: [a]}}",
            "a → b → c → a",
        ),
        ("services: {a: {image: x, depends_on: [a]}}", "a → a"),
        ("services: {a: {image: x, links: [b]}, b: {image: x, links: [a]}}", "circle"),
        (
            "services: {a: {image: x, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: x, restart: always}}",
            "always started again",
        ),
        ("services: {a: {image: x, ports: [a]}}", "a port is 80"),
        ("services: {a: {image: x, ports: ['1-70000:1']}}", "65535"),
        ("services: {a: {image: x, ports: ['192.0.2.1:80:80']}}", "can't be chosen"),
        ("services: {a: {image: x, deploy: {replicas: 10000}}}", "from 0 to 20"),
        ("services: {a: {image: x, tmpfs: [/proc/x]}}", "tmpfs has a plain path"),
        ("services: {a: {image: x, tmpfs: ['/x:dev']}}", "tmpfs has the options"),
        (
            "services: {a: {image: x, configs: [{source: c, target: /etc/hosts}]}}\nconfigs: {c: {content: x}}",
            "node's to write",
        ),
        (
            "services: {a: {image: x, configs: [{source: c, target: /../c}]}}\nconfigs: {c: {content: x}}",
            "plain path",
        ),
        (
            "services: {a: {image: x, configs: [{source: c, target: /d/c}], volumes: ['v:/d']}}\nconfigs: {c: {content: x}}\nvolumes: {v: }",
            "hidden",
        ),
        ("services: {a: {image: x, volumes: ['v:/d', 'w:/d/e']}}\nvolumes: {v: , w: }", "in each other"),
        ("services: {a: {image: x}}\nnetworks: {n: {internal: true}}", "way out"),
        ("services: {a: {image: x}}\nnetworks: {n: {driver: macvlan}}", "macvlan"),
        ("services: {a: {image: x}}\nvolumes: {v: {driver: nfs}}", "no driver"),
        ("services: {a: {image: x}}\ninclude: [b.yml]", "include can't"),
        ("services: {a: {image: x, environment: [a b=c]}}", "variable"),
        ("services: {a: {image: x, hostname: 'a\nb'}}", "no name"),
        ("services: {a: {image: x, extra_hosts: ['h:host-gateway']}}", "IP address"),
        ("services: {a: {image: x, network_mode: 'service:b'}}", "service:b"),
        ("services: {a: !reset {image: x}}", "tag"),
        ("services: {a: {image: !secret x}}", "tag"),
        ("services: {? [a] : b}", "a key is a word"),
        ("services: {a: {image: x, healthcheck: {test: [CMD]}}}", "test is text"),
        ("services: {a: {image: x, logging: {drive: syslog}}}", "drive isn't known here"),
        (
            "services: {a: {image: x, logging: {driver: loki, options: {loki-url: 'http://me:pw@loki/'}}}}",
            "without a password",
        ),
        ("services: {a: {image: x, healthcheck: {test: x, interval: soon}}}", "duration"),
    ],
)
def test_bad_files_are_refused_with_a_sentence(text: str, says: str) -> None:
    assert any(says in each[2] for each in refused(text)), refused(text)


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "50,000 values"),
        ("a: &a [*a]", "within itself"),
        ("a: &a {<<: *a, image: x}", "within itself"),
        ("a: &a {b: *a}", "within itself"),
        ("[" * 400_000, "deep"),
        ("{a: " * 100_000, "deep"),
        ("a: &a x\nb: [" + "*a," * 1000 + "]", "aliases"),
        ("a: [" + "x, " * 300_000 + "]", "too much"),
        ("a: '" + "x" * 2**21 + "'", "1 MiB"),
        ("services: {a: {image: '" + "${A:-" * 50 + "}" * 50 + "'}}", "nested"),
        (f"services: {{a: {{image: x, command: ['{'$A' * 100_000}']}}}}", "256 KiB"),
        ("services: {" + ",".join(f"s{n}: {{image: x}}" for n in range(60)) + "}", "50 services"),
    ],
)
def test_files_that_would_grow_are_refused_at_once(text: str, says: str) -> None:
    began = time.process_time()
    assert any(says in each[2] for each in refused(text, variables={"A": "x" * 1000})), refused(text)[:3]
    assert time.process_time() - began < 10


_ONE = "services: {a: {image: x, command: [%s]}}"
_BOMBS = {
    "one text copied by each item": Source(_ONE % ",".join(['"x${A}"'] * 9000), variables={"A": "y" * 200_000}),
    "asked for again and again": Source(_ONE % f'"{"${A}" * 200_000}"'),
    "lines of one another": Source(
        "services: {a: {image: x}}",
        env=f"A={'x' * 100_000}\n" + "".join(f"B{number}=$A\n" for number in range(5000)),
    ),
    "one file read by each line": Source(
        f"services: {{a: {{image: x, env_file: [{','.join(['./e'] * 9000)}]}}}}",
        files={"./e": "A=x\n" * 10_000},
    ),
}


@pytest.mark.parametrize("source", _BOMBS.values(), ids=_BOMBS.keys())
def test_variables_come_to_no_more_than_a_file_is_worth(source: Source) -> None:
    with pytest.raises(ComposeRefused) as caught:
        read(source)
    assert "its variables come to more than" in caught.value.problems[0].text


def test_so_many_notes_are_told_and_no_more() -> None:
    words = [",".join(f"$A{service}x{number}" for number in range(200)) for service in range(5)]
    services = ",".join(f"s{number}: {{image: x, command: ['{text}']}}" for number, text in enumerate(words))
    assert len(read(Source(f"services: {{{services}}}")).notes) == MOST_NOTES


@pytest.mark.parametrize(
    ("logging", "said"),
    [
        ("{driver: json-file, options: {max-size: 10m}}", "the console keeps"),
        ("{driver: none}", "the console keeps"),
        ("{options: {max-file: '3'}}", "the console keeps"),
        ("{driver: fluentd, options: {fluentd-address: 'x:1'}}", "by the drivers syslog and loki"),
        ("{driver: syslog}", "by the drivers syslog and loki"),
        (
            "{driver: syslog, options: {syslog-address: 'unixgram:///dev/log'}}",
            "by the drivers syslog and loki",
        ),
    ],
)
def test_a_log_that_goes_nowhere_else_is_noted(logging: str, said: str) -> None:
    read_in = project(f"services:\n  a:\n    image: x\n    logging: {logging}\n")
    assert "logs" not in read_in.services[0].app
    assert [said in one.text for one in read_in.notes] == [True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("command: " + "x" * 1_000_000, "a command has 32,768 characters at most"),
        ('entrypoint: "' + "x" * 1_000_000 + '"', "a command has 32,768 characters at most"),
        ('command: "' + "a${A:-b}" * 120_000 + '"', "variables"),
        ('command: "${A:-' + "a$A " * 9_000 + "b" * 900_000 + '}"', "256 KiB"),
    ],
    ids=["command", "entrypoint", "many variables", "within one"],
)
def test_a_long_text_takes_no_longer_than_it_is_long(text: str, says: str) -> None:
    """One word of a megabyte held a web thread for minutes: shlex takes time by the square of a word."""
    began = time.thread_time()
    with pytest.raises(ComposeRefused) as caught:
        read(Source("services:\n  a:\n    image: x\n    " + text, variables={"A": "1"}))
    assert says in caught.value.problems[0].text
    assert time.thread_time() - began < 2
