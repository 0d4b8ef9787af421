from django.urls import path

from panel.environments import views

_ONE = "environments/<uuid:environment_id>"

urlpatterns = [
    path("environments/", views.environments, name="environments"),
    path("environments/create", views.create, name="environment-create"),
    path("environments/sparks", views.sparks, name="environments-sparks"),
    path("environments/bulk", views.bulk, name="environments-bulk"),
    path(f"{_ONE}/", views.overview, name="environment"),
    path(f"{_ONE}/activity", views.activity, name="environment-activity"),
    path(f"{_ONE}/network", views.network, name="environment-network"),
    path(f"{_ONE}/settings", views.settings, name="environment-settings"),
    path(f"{_ONE}/secret-noted", views.forget_secret, name="environment-secret-noted"),
    path(f"{_ONE}/power", views.power, name="environment-power"),
    path(f"{_ONE}/settings/<slug:what>", views.change, name="environment-change"),
    path(f"{_ONE}/forwards/<uuid:forward_id>/remove", views.remove_forward, name="forward-remove"),
    path(f"{_ONE}/delete", views.delete, name="environment-delete"),
]
