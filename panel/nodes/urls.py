from django.urls import path

from panel.nodes import views

urlpatterns = [
    path("nodes/", views.nodes, name="nodes"),
    path("nodes/leaks/", views.leaks, name="node-leaks"),
    path("nodes/<uuid:node_id>/", views.node, name="node"),
    path("nodes/<uuid:node_id>/survey", views.survey, name="node-survey"),
    path("nodes/<uuid:node_id>/state", views.state, name="node-state"),
]
