from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "dam.jobs"
