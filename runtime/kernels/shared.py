"""The host's own kernel, by namespaces and cgroups: crun, or runc where there is no crun."""

import os
import shutil

from runtime.contract import Kernel as KernelName
from runtime.contract.said import Said
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.kernels.base import Kernel
from runtime.node import Node


class SharedKernel(Kernel):
    name = KernelName.SHARED

    def unavailable(self) -> Said | None:
        if shutil.which("crun") or shutil.which("runc"):
            return None
        return refusals.no_crun()

    def runtime(self, node: Node) -> str:
        if os.access(node.oci_runtime, os.X_OK):
            return str(node.oci_runtime)
        found = shutil.which("crun") or shutil.which("runc")
        if found is None:
            raise HostLacks(refusals.no_crun())
        return found
