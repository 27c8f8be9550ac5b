from django.apps import AppConfig


class AssetsConfig(AppConfig):
    name = "dam.assets"

    def ready(self) -> None:
        """Make the lookups known to Django."""
        from dam.assets import lookups  # noqa: F401, PLC0415 - registers itself
