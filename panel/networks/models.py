"""Address pools, leases and port forwards. The constraints make "given twice" impossible to store."""

import uuid

from django.db import models

from panel.rights.scope import Scoped


class AddressPool(models.Model):
    """A network of one node, learned from its facts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="pools")
    network = models.CharField(max_length=43)
    """In CIDR notation."""
    family = models.PositiveSmallIntegerField(choices=[(4, "IPv4"), (6, "IPv6")])
    first = models.BigIntegerField()
    """Lowest offset from the network's address that is handed out."""
    last = models.BigIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "network"], name="pool_once"),
            models.CheckConstraint(condition=models.Q(first__lte=models.F("last")), name="pool_not_empty"),
        ]

    def __str__(self) -> str:
        return self.network


#: Of one environment: its first address is the one that it sends from and that forwards lead to.
OLDEST_FIRST = ("family", "leased_at", "offset")


class Addresses(Scoped["Address"]):
    environment_relation = "environment"

    def held(self) -> "Addresses":
        """Those that are an environment's now, its first one first; not those that rest."""
        return self.filter(released_at=None).order_by(*OLDEST_FIRST)


class Address(models.Model):
    """A lease. The row stays for the cool-down after release, and with it the address stays taken."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(AddressPool, on_delete=models.PROTECT, related_name="addresses")
    offset = models.BigIntegerField()
    address = models.GenericIPAddressField()
    family = models.PositiveSmallIntegerField(choices=[(4, "IPv4"), (6, "IPv6")])
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.SET_NULL, null=True, blank=True, related_name="addresses"
    )
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.SET_NULL, null=True, blank=True, related_name="addresses"
    )
    leased_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True)

    objects = Addresses.as_manager()

    class Meta:
        ordering = ["family", "offset"]
        indexes = [models.Index(fields=["family", "offset"], name="address_in_order")]
        constraints = [
            models.UniqueConstraint(fields=["pool", "offset"], name="address_once"),
            models.UniqueConstraint(fields=["pool", "address"], name="address_text_once"),
        ]

    def __str__(self) -> str:
        return self.address


class PortForwards(Scoped["PortForward"]):
    environment_relation = "environment"


class PortForward(models.Model):
    """One port of a node that leads to a port of an environment."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, related_name="forwards"
    )
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="forwards")
    node = models.ForeignKey("nodes.Node", on_delete=models.PROTECT, related_name="forwards")
    protocol = models.CharField(max_length=3, choices=[("tcp", "TCP"), ("udp", "UDP")], default="tcp")
    node_port = models.PositiveIntegerField()
    port = models.PositiveIntegerField()
    description = models.CharField(max_length=120, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PortForwards.as_manager()

    class Meta:
        ordering = ["protocol", "node_port"]
        constraints = [
            models.UniqueConstraint(fields=["node", "protocol", "node_port"], name="forward_once"),
            models.CheckConstraint(
                condition=models.Q(port__range=(1, 65535), node_port__range=(1, 65535)),
                name="forward_ports_exist",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.protocol} {self.node_port} → {self.port}"
