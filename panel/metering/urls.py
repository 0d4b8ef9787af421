from django.urls import path

from panel.metering import views

urlpatterns = [path("environments/sparks", views.sparks, name="environments-sparks")]
