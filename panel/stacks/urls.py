from django.urls import path

from panel.stacks import views

_ONE = "stacks/<uuid:stack_id>"

urlpatterns = [
    path("stacks/", views.everywhere, name="stacks"),
    path(f"{_ONE}/", views.one, name="stack"),
    path(f"{_ONE}/start", views.start, name="stack-start"),
    path(f"{_ONE}/rollback", views.rollback, name="stack-rollback"),
    path(f"{_ONE}/stop", views.stop, name="stack-stop"),
    path(f"{_ONE}/delete", views.delete, name="stack-delete"),
    path("catalogue/", views.catalogue, name="catalogue"),
    path("catalogue/<slug:slug>/", views.take, name="catalogue-entry"),
]
