from django.urls import path

from panel.environments.views import create, listing, network, once, one, settings

_ONE = "environments/<uuid:environment_id>"

urlpatterns = [
    path("environments/", listing.environments, name="environments"),
    path("environments/create", create.create, name="environment-create"),
    path("environments/sparks", listing.sparks, name="environments-sparks"),
    path("environments/bulk", listing.bulk, name="environments-bulk"),
    path(f"{_ONE}/", one.overview, name="environment"),
    path(f"{_ONE}/activity", one.activity, name="environment-activity"),
    path(f"{_ONE}/network", network.network, name="environment-network"),
    path(f"{_ONE}/network/<slug:part>", network.change, name="environment-network-change"),
    path(f"{_ONE}/settings", settings.settings, name="environment-settings"),
    path(f"{_ONE}/settings/<slug:what>", settings.change, name="environment-change"),
    path(f"{_ONE}/secret-noted", once.forget_secret, name="environment-secret-noted"),
    path(f"{_ONE}/power", one.power, name="environment-power"),
    path(f"{_ONE}/addresses/<uuid:address_id>/remove", network.remove_address, name="address-remove"),
    path(f"{_ONE}/forwards/<uuid:forward_id>/remove", network.remove_forward, name="forward-remove"),
    path(f"{_ONE}/delete", settings.delete, name="environment-delete"),
]
