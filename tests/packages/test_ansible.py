"""Ansible, as Debian has it, sets up an environment over SSH: a role with a web server, a database and PHP, run
twice, and its `reboot` module. One environment is the controller, another the machine that it looks after."""

import pytest

from tests.packages.conftest import Make
from tests.packages.system import System

ROLE = """
- name: Packages
  ansible.builtin.apt:
    name: [nginx, mariadb-server, php-fpm, php-mysql, python3-pymysql]
    update_cache: true
- name: A database
  community.mysql.mysql_db:
    name: shop
    login_unix_socket: /run/mysqld/mysqld.sock
- name: Its user
  community.mysql.mysql_user:
    name: shop
    password: rahasia
    priv: "shop.*:ALL"
    login_unix_socket: /run/mysqld/mysqld.sock
- name: The page
  ansible.builtin.copy:
    dest: /var/www/html/index.php
    mode: "0644"
    content: |
      <?php $db = new mysqli("localhost", "shop", "rahasia", "shop");
      echo "PHP ", $db->query("select 6 * 7 as answer")->fetch_object()->answer;
- name: Where PHP listens
  ansible.builtin.find:
    paths: /run/php
    patterns: "php[0-9]*-fpm.sock"
    file_type: any
  register: sockets
- name: The site
  ansible.builtin.copy:
    dest: /etc/nginx/sites-available/default
    mode: "0644"
    content: |
      server {
        listen 80 default_server;
        root /var/www/html;
        index index.php;
        location ~ [.]php$ {
          include snippets/fastcgi-php.conf;
          fastcgi_pass unix:{{ sockets.files[0].path }};
        }
      }
  notify: Restart nginx
- name: Services
  ansible.builtin.service:
    name: "{{ item }}"
    state: started
    enabled: true
  loop: [nginx, mariadb]
"""
HANDLERS = """
- name: Restart nginx
  ansible.builtin.service:
    name: nginx
    state: restarted
"""
PLAYBOOK = """
- hosts: all
  gather_facts: true
  roles: [web]
"""
REBOOT = """
- hosts: all
  tasks:
    - name: Reboot
      ansible.builtin.reboot:
        reboot_timeout: 120
      register: rebooted
    - name: The page is there again
      ansible.builtin.uri:
        url: http://127.0.0.1/
        return_content: true
      register: page
      until: page.status == 200
      retries: 30
      delay: 2
    - ansible.builtin.debug:
        msg: "took {{ rebooted.elapsed }} s, says {{ page.content }}"
"""
RUN = "cd /srv/play && ANSIBLE_HOST_KEY_CHECKING=False ansible-playbook -i hosts"


@pytest.fixture(scope="module")
def machine(make: Make) -> System:
    """As a tenant gets it, with nothing but the controller's key."""
    return make(limits={"cpu": 2, "memory_mb": 1024, "disk_mb": 8192})


@pytest.fixture(scope="module")
def controller(make: Make, machine: System) -> System:
    system = make(limits={"cpu": 2, "memory_mb": 1024, "disk_mb": 8192})
    code, said = system.install("ansible openssh-client")  # with the collections, as people install it
    assert code == 0, said
    key = system.sh("ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub")
    machine.sh(f"install -d -m 700 /root/.ssh; echo '{key}' >> /root/.ssh/authorized_keys")
    address = machine.sh("ip -4 -o addr show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'")
    files = {
        "hosts": f"{address} ansible_user=root\n",
        "site.yml": PLAYBOOK,
        "reboot.yml": REBOOT,
        "roles/web/tasks/main.yml": ROLE,
        "roles/web/handlers/main.yml": HANDLERS,
    }
    system.sh("mkdir -p /srv/play/roles/web/tasks /srv/play/roles/web/handlers")
    for name, text in files.items():
        system.sh(f"cat > /srv/play/{name} <<'TEXT'\n{text}\nTEXT")
    return system


@pytest.fixture(scope="module")
def set_up(controller: System) -> str:
    code, said = controller.run_long(f"{RUN} site.yml", 1500)
    assert code == 0, said
    return said


def test_a_role_installs_a_web_server_a_database_and_php(set_up: str, machine: System) -> None:
    assert "failed=0" in set_up
    assert "unreachable=0" in set_up
    assert machine.sh("curl -fsS http://127.0.0.1/") == "PHP 42"


def test_run_again_it_changes_nothing(set_up: str, controller: System) -> None:
    code, said = controller.run_long(f"{RUN} site.yml", 600)
    assert code == 0, said
    assert "changed=0" in said, said


def test_its_reboot_module_sees_the_reboot_and_goes_on(
    set_up: str, controller: System, machine: System
) -> None:
    before = machine.boot_id()
    code, said = controller.run_long(f"{RUN} reboot.yml", 400)
    assert code == 0, said
    assert "says PHP 42" in said
    assert machine.boot_id() not in ("", before)
    assert machine.sh("journalctl --list-boots --no-pager | wc -l") >= "2"
