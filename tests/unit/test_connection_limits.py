"""What bounds the connections of one client: where there is anything to bound, and what may be said."""

import pytest

from runtime.install import connection_limits
from runtime.install.front import Front
from runtime.install.output import Stop

LOCAL = Front("http://127.0.0.1:8080", bind=("127.0.0.1", "::1"))
DOMAIN = Front("https://panel.example.org")


def test_a_front_on_loopback_has_nothing_to_bound() -> None:
    assert "chain" not in connection_limits.rules("t", LOCAL, 256)
    assert "chain" not in connection_limits.rules("t", DOMAIN, 0)


def test_every_port_is_bound_and_no_other() -> None:
    assert "tcp dport { 80, 443 }" in connection_limits.rules("t", DOMAIN, 256)
    assert "tcp dport { 8443 }" in connection_limits.rules(
        "t", Front("https://192.0.2.1:8443", bind=("192.0.2.1",)), 256
    )


def test_proxies_of_both_families_are_spared() -> None:
    text = connection_limits.rules(
        "t", Front("https://a.example.org", proxies=("192.0.2.7/32", "2001:db8::/64")), 256
    )
    assert "ip saddr { 192.0.2.7/32 } accept" in text
    assert "ip6 saddr { 2001:db8::/64 } accept" in text


@pytest.mark.parametrize("said", ["-1", "many", "1e3", "٣", "1000001", "5; flush ruleset"])
def test_what_is_no_number_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADAH_CLIENT_CONNECTIONS", said)
    with pytest.raises(Stop):
        connection_limits.most()


def test_the_setting_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection_limits.most() == connection_limits.DEFAULT
    monkeypatch.setenv("WADAH_CLIENT_CONNECTIONS", "0")
    assert connection_limits.most() == 0
