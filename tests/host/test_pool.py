"""The node's disk pool."""

import json
import subprocess

from runtime.node import Node


def test_the_kernel_frees_the_loop_device_by_itself(node: Node) -> None:
    words = ["losetup", "--json", "--list", "--output", "NAME,AUTOCLEAR", "--associated", str(node.pool_file)]
    found = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)
    assert [one["autoclear"] for one in found["loopdevices"]] == [True]


def test_small_files_take_of_the_pool_what_their_owner_is_charged_for(node: Node) -> None:
    """Their data lies in the metadata, which kept twice takes twice as much."""
    words = ["btrfs", "filesystem", "df", "--raw", str(node.store)]
    said = subprocess.run(words, capture_output=True, check=True, timeout=30, text=True).stdout
    assert [line.split(":")[0] for line in said.splitlines() if line.startswith("Metadata")] == [
        "Metadata, single"
    ]
