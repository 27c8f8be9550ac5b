from django.apps import AppConfig


class RolloutConfig(AppConfig):
    name = "dam.rollout"
