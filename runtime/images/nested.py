"""What a Debian image holds so that runtimes of containers run inside an environment that has `nesting`."""

#: subuid(5): useradd gives each user 100000:65536 and so on, and an environment has the ids 0 to 65535, so
#: newuidmap(1) refuses and rootless Podman ends there. By this, which useradd runs, the range is one of six
#: within them; whoever comes later has none, as where there is no /etc/subuid.
SUBORDINATE_IDS = """#!/bin/sh
# Ranges that useradd took from beyond the 65,536 ids of this environment become one of these.
set -e
any() {
  cat /etc/subuid /etc/subgid | awk -F: -v name="$SUBJECT" -v first="$2" "$1 { found = 1 } END { exit !found }"
}
any '$1 == name && $2 + $3 > 65536' 0 || exit 0
mine=
for first in 10000 19000 28000 37000 46000 55000; do
  any '$1 != name && $2 < first + 9000 && $2 + $3 > first' $first || { mine=$first; break; }
done
for file in /etc/subuid /etc/subgid; do
  awk -F: -v name="$SUBJECT" '$1 != name' "$file" > "$file.new"
  [ -z "$mine" ] || echo "$SUBJECT:$mine:9000" >> "$file.new"
  cat "$file.new" > "$file"
  rm "$file.new"
done
"""
#: containers.conf(5). Podman gives each container a limit of tasks by a control group, which can't be where the
#: host has control groups of version 1, and starts none then. The environment's limit holds for all.
PODMAN = """# The limit of processes of this environment holds for all containers in it.
[containers]
pids_limit = 0
"""
FINISH = f"""
mkdir -p /etc/shadow-maint/useradd-post.d /etc/containers/containers.conf.d
cat > /etc/shadow-maint/useradd-post.d/subordinate-ids <<'SCRIPT'
{SUBORDINATE_IDS}SCRIPT
chmod 755 /etc/shadow-maint/useradd-post.d/subordinate-ids
cat > /etc/containers/containers.conf.d/10-environment.conf <<'CONF'
{PODMAN}CONF
"""
