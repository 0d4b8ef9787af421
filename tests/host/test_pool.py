"""The node's disk pool."""

import json
import subprocess

from runtime.node import Node


def test_the_kernel_frees_the_loop_device_by_itself(node: Node) -> None:
    words = ["losetup", "--json", "--list", "--output", "NAME,AUTOCLEAR", "--associated", str(node.pool_file)]
    found = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)
    assert [one["autoclear"] for one in found["loopdevices"]] == [True]
