"""The kernels that this version offers, by name."""

from runtime.contract import Kernel as KernelName
from runtime.contract.words import refusals
from runtime.errors import HostLacks
from runtime.kernels.base import Kernel
from runtime.kernels.shared import SharedKernel

_KERNELS: dict[KernelName, Kernel] = {one.name: one for one in (SharedKernel(),)}


def kernel_of(name: KernelName) -> Kernel:
    """Raises `HostLacks` with the reason when this node can't offer it."""
    kernel = _KERNELS.get(name)
    if kernel is None:
        raise HostLacks(refusals.kernel_not_offered(name), code="kernel_unavailable", retryable=False)
    reason = kernel.unavailable()
    if reason:
        raise HostLacks(refusals.kernel_unavailable(name, reason), code="kernel_unavailable")
    return kernel


def available() -> list[KernelName]:
    return [name for name, kernel in _KERNELS.items() if kernel.unavailable() is None]
