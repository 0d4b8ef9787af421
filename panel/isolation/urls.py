from django.urls import path

from panel.isolation import views

urlpatterns = [
    path("environments/<uuid:environment_id>/isolation", views.isolation, name="environment-isolation"),
]
