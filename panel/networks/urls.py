from django.urls import path

from panel.networks import views

urlpatterns = [path("addresses/", views.addresses, name="addresses")]
