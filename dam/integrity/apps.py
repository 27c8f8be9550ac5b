from django.apps import AppConfig


class IntegrityConfig(AppConfig):
    name = "dam.integrity"
    verbose_name = "Integrity"
