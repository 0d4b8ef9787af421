"""An environment's interfaces: what is said of them between panel and node, and what they are called."""

import uuid
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.contract import Interface, Network
from runtime.node import Node, default_settings


def test_addresses_that_were_written_down_before_there_were_interfaces_are_those_of_the_first() -> None:
    old = Network.model_validate({"ipv4": ["10.1.0.2"], "ipv6": ["fd00::2"], "closed": True})
    assert old == Network.model_validate(
        {"interfaces": [{"number": 0, "ipv4": ["10.1.0.2"], "ipv6": ["fd00::2"]}], "closed": True}
    )
    assert [str(one) for one in (*old.ipv4, *old.ipv6)] == ["10.1.0.2", "fd00::2"]


def test_what_is_written_down_is_read_as_it_was() -> None:
    for network in (Network(), Network(interfaces=()), Network.model_validate({"ipv6": ["fd00::2"]})):
        assert Network.model_validate_json(network.model_dump_json()) == network


def test_there_is_one_for_now() -> None:
    with pytest.raises(ValidationError, match="interfaces"):
        Network(interfaces=(Interface(), Interface(number=1)))


def test_each_link_of_an_environment_has_a_name_of_its_own(tmp_path: Path) -> None:
    node, one = Node(tmp_path, default_settings(tmp_path)), uuid.uuid4()
    names = [node.link_name(one, number) for number in range(16)]
    assert len(set(names)) == 16 and {len(name) for name in names} == {15}
    assert node.link_name(one) == f"{node.link_prefix}{one.hex[:11]}"
