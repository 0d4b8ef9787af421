from django.urls import path

from panel.offers import views

urlpatterns = [
    path("plans/", views.plans, name="plans"),
    path("plans/<uuid:plan_id>/", views.plan, name="plan"),
    path("plans/<uuid:plan_id>/retire", views.retire, name="plan-retire"),
]
