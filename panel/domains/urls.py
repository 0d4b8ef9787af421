from django.urls import path

from panel.domains import views

_ONE = "domains/<uuid:domain_id>"

urlpatterns = [
    path("environments/<uuid:environment_id>/domains", views.of_environment, name="environment-domains"),
    path("domains/", views.everywhere, name="domains"),
    path(f"{_ONE}/", views.domain, name="domain"),
    path(f"{_ONE}/look", views.look, name="domain-look"),
    path(f"{_ONE}/remove", views.remove, name="domain-remove"),
    path(f"{_ONE}/targets", views.add_target, name="domain-target-add"),
    path(f"{_ONE}/targets/<uuid:environment_id>/remove", views.remove_target, name="domain-target-remove"),
    path(f"{_ONE}/users", views.users, name="domain-users"),
]
