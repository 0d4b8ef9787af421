"""What of the catalogue Debian has programs for: an image for all of them, and how each is begun in it, as the
official image begins it whose name the entry has.

Docker's official images aren't in Debian. An entry is started as it is, by its own Compose file, but for two
keys: `image`, and `entrypoint`.
"""

from collections.abc import Mapping
from typing import Any, Final

import yaml

PACKAGES: Final = (
    "adminer apache2 caddy curl docker-registry haproxy mariadb-server memcached mosquitto mosquitto-clients "
    "nats-server nginx-light php-cli php-mysql php-pgsql postgresql prometheus rabbitmq-server redis-server "
    "redis-tools varnish wordpress"
)
#: Nothing is started while it is installed.
PREPARED: Final = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d"
#: What packages made for themselves goes, and there is what the official images bring along.
ENDED: Final = """
apt-get clean; rm -rf /var/lib/apt/lists/* /var/lib/mysql/* /var/lib/postgresql/*/main
printf '#!/bin/sh\\nexec mariadb-admin ping --silent\\n' > /usr/local/bin/healthcheck.sh
chmod 755 /usr/local/bin/healthcheck.sh
"""
_AS = "setpriv --init-groups --reuid="
#: Shell by the name of the image without its tag: what its entrypoint does. "$@": the entry's own command.
BEGUN: Final[Mapping[str, str]] = {
    "adminer": "exec php -S 0.0.0.0:8080 -t /usr/share/adminer/adminer",
    "caddy": "exec caddy run --config /etc/caddy/Caddyfile --adapter caddyfile",
    "eclipse-mosquitto": """
chown mosquitto /mosquitto/data
exec mosquitto -c /mosquitto/config/mosquitto.conf
""",
    "haproxy": "exec haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg",
    "httpd": """
mkdir -p /run/lock
rm -rf /var/www/html; ln -s /usr/local/apache2/htdocs /var/www/html
exec apachectl -D FOREGROUND
""",
    "mariadb": """
d=/var/lib/mysql; chown mysql $d; mkdir -p /run/mysqld; chown mysql /run/mysqld
[ -d $d/mysql ] || mariadb-install-db --user=mysql --datadir=$d --skip-test-db > /dev/null
cat > /tmp/first.sql <<END
CREATE DATABASE IF NOT EXISTS $MARIADB_DATABASE;
CREATE USER IF NOT EXISTS '$MARIADB_USER'@'%' IDENTIFIED BY '$MARIADB_PASSWORD';
GRANT ALL ON $MARIADB_DATABASE.* TO '$MARIADB_USER'@'%';
END
chmod 644 /tmp/first.sql
exec mariadbd --user=mysql --datadir=$d --bind-address=0.0.0.0 --init-file=/tmp/first.sql
""",
    "memcached": 'exec "$@" -u memcache',
    "nats": "exec nats-server",
    "nginx": "rm -rf /var/www/html; ln -s /usr/share/nginx/html /var/www/html; exec nginx -g 'daemon off;'",
    "postgres": f"""
d=/var/lib/postgresql/data; b=$(ls -d /usr/lib/postgresql/*/bin); chown postgres $d; chmod 700 $d
as="{_AS}postgres --regid=postgres"
if [ ! -s $d/PG_VERSION ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password; chown postgres /tmp/password
  $as $b/initdb -D $d -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 > /dev/null
  echo 'host all all all scram-sha-256' >> $d/pg_hba.conf
  echo "CREATE DATABASE $POSTGRES_DB" | $as $b/postgres --single -D $d postgres > /dev/null
fi
exec $as $b/postgres -D $d -c listen_addresses='*' -c unix_socket_directories=/tmp
""",
    "prom/prometheus": (
        "exec prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus"
    ),
    "rabbitmq": """
printf 'default_user = %s\\ndefault_pass = %s\\n' "$RABBITMQ_DEFAULT_USER" "$RABBITMQ_DEFAULT_PASS" \
  > /etc/rabbitmq/rabbitmq.conf
chown rabbitmq /var/lib/rabbitmq; export RABBITMQ_NODENAME=rabbit@localhost
exec rabbitmq-server
""",
    "redis": 'cd /data; exec "$@"',
    "registry": """
cat > /tmp/config.yml <<END
{version: 0.1, storage: {filesystem: {rootdirectory: /var/lib/registry}}, http: {addr: ":5000"}}
END
exec docker-registry serve /tmp/config.yml
""",
    "varnish": "exec varnishd -F -a :80 -b $VARNISH_BACKEND_HOST:$VARNISH_BACKEND_PORT -s malloc,64m",
    "wordpress": """
cp -rn /usr/share/wordpress/. /var/www/html/ 2>/dev/null
cat > /etc/wordpress/config-default.php <<END
<?php define('DB_NAME', '$WORDPRESS_DB_NAME'); define('DB_USER', '$WORDPRESS_DB_USER');
define('DB_PASSWORD', '$WORDPRESS_DB_PASSWORD'); define('DB_HOST', '$WORDPRESS_DB_HOST');
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
END
exec php -S 0.0.0.0:80 -t /usr/share/wordpress
""",
}
_NO_PACKAGE = "Debian 12 has no package of it; its maintainers give away an image or an archive of their own"
#: By slug: why it isn't started here.
NOT_HAD: Final[Mapping[str, str]] = {
    "gitea": _NO_PACKAGE,
    "grafana": f"{_NO_PACKAGE}; Debian took its own out",
    "keycloak": _NO_PACKAGE,
    "matomo": f"{_NO_PACKAGE} (PHP)",
    "metabase": f"{_NO_PACKAGE} (Java)",
    "miniflux": f"{_NO_PACKAGE}; a newer Go than Debian 12's builds it",
    "minio": _NO_PACKAGE,
    "mongodb": "Debian took it out for its licence",
    "n8n": "npm has it, as some 1,500 packages of which some are compiled: not tried",
    "nextcloud": f"{_NO_PACKAGE} (PHP)",
    "umami": f"{_NO_PACKAGE}; it is built from its source by Node",
    "uptime-kuma": "npm has a version for its developers alone",
    "vaultwarden": f"{_NO_PACKAGE}; a newer Rust than Debian 12's builds it",
    "whoami": f"{_NO_PACKAGE}; Go builds it from its source, which was not tried",
}
#: By slug: what is run in the service named to have it answer its own client, and a word of the answer;
#: variables of the entry stand in braces.
ASKED: Final[Mapping[str, tuple[str, str, str]]] = {
    "adminer": ("app", "curl -fsS http://127.0.0.1:8080/", "adminer"),
    "apache": ("app", "curl -fsS http://127.0.0.1/", "It runs"),
    "caddy": ("app", "curl -fsS http://127.0.0.1/", "It runs"),
    "haproxy": ("front", "curl -fsS http://127.0.0.1/", "It runs"),
    "mariadb": ("db", "mariadb -h 127.0.0.1 -uapp -p{DB_PASSWORD} app -Ne 'SELECT 40+2'", "42"),
    "memcached": (
        "app",
        "printf 'set a 0 0 2\\r\\nhi\\r\\nget a\\r\\nquit\\r\\n' | curl -s telnet://127.0.0.1:11211",
        "hi",
    ),
    "mosquitto": (
        "app",
        "mosquitto_pub -r -t a -m heard && mosquitto_sub -t a -C 1 -W 10",
        "heard",
    ),
    "nats": ("app", "(printf 'PING\\r\\n'; sleep 1) | curl -s -m 3 telnet://127.0.0.1:4222; true", "PONG"),
    "nginx": ("app", "curl -fsS http://127.0.0.1/", "It runs"),
    "postgresql": (
        "db",
        "PGPASSWORD={DB_PASSWORD} psql -h 127.0.0.1 -U app -d app -Atc 'SELECT 40+2'",
        "42",
    ),
    "prometheus": ("app", "curl -fsS http://127.0.0.1:9090/-/ready", "Ready"),
    "rabbitmq": (
        "app",
        "RABBITMQ_NODENAME=rabbit@localhost rabbitmqctl authenticate_user app {RABBIT_PASSWORD}",
        "Success",
    ),
    "redis": ("app", "redis-cli --no-auth-warning -a {REDIS_PASSWORD} set a 1", "OK"),
    "registry": ("app", "curl -fsS http://127.0.0.1:5000/v2/_catalog", "repositories"),
    "varnish": ("front", "curl -fsSi http://127.0.0.1/", "X-Varnish"),
    "wordpress": ("app", "curl -fsSL http://127.0.0.1/wp-admin/install.php", "WordPress"),
}


def rewritten(compose: str, image: str) -> str:
    """Its services by our image, begun as those that they name."""
    document: dict[str, Any] = yaml.safe_load(compose)
    # what two share by an anchor is one object
    document["services"] = {name: dict(one) for name, one in document["services"].items()}
    for service in document["services"].values():
        name = service["image"].rpartition(":")[0]
        service["entrypoint"] = ["/bin/sh", "-c", BEGUN[name].replace("$", "$$"), name]
        service["image"] = image
    return yaml.safe_dump(document, sort_keys=False)
