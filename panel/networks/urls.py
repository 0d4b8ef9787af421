from django.urls import path

from panel.networks import environment_views as of_one
from panel.networks import views

_ONE = "environments/<uuid:environment_id>"

urlpatterns = [
    path("addresses/", views.addresses, name="addresses"),
    path(f"{_ONE}/network", of_one.network, name="environment-network"),
    path(f"{_ONE}/network/<slug:part>", of_one.change, name="environment-network-change"),
    path(f"{_ONE}/addresses/<uuid:address_id>/remove", of_one.remove_address, name="address-remove"),
    path(f"{_ONE}/forwards/<uuid:forward_id>/remove", of_one.remove_forward, name="forward-remove"),
]
