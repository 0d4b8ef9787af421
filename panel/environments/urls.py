from django.urls import path

from panel.environments.views import create, listing, new_password, one, settings, trash

_ONE = "environments/<uuid:environment_id>"

urlpatterns = [
    path("environments/", listing.environments, name="environments"),
    path("environments/create", create.create, name="environment-create"),
    path("environments/bulk", listing.bulk, name="environments-bulk"),
    path(f"{_ONE}/", one.overview, name="environment"),
    path(f"{_ONE}/activity", one.activity, name="environment-activity"),
    path(f"{_ONE}/settings", settings.settings, name="environment-settings"),
    path(f"{_ONE}/settings/<slug:what>", settings.change, name="environment-change"),
    path(f"{_ONE}/secret-noted", new_password.forget_secret, name="environment-secret-noted"),
    path(f"{_ONE}/power", one.power, name="environment-power"),
    path(f"{_ONE}/undelete", trash.undelete, name="environment-undelete"),
    path(f"{_ONE}/delete", settings.delete, name="environment-delete"),
]
