"""What everybody could do until now, as grants: to see, to download, to add; staff, to do everything."""

from django.db import migrations

ROOT = "Library"
MANAGERS = "Content managers"
CONTRIBUTE, MANAGE = 3, 5


def give(apps, _editor):
    collections = apps.get_model("assets", "Collection")
    grants = apps.get_model("assets", "Grant")
    managers, _ = apps.get_model("auth", "Group").objects.get_or_create(name=MANAGERS)
    for user in apps.get_model("auth", "User").objects.filter(is_staff=True):
        user.groups.add(managers)
    for root in collections.objects.filter(depth=1, name=ROOT):
        grants.objects.get_or_create(collection=root, user=None, group=None, defaults={"level": CONTRIBUTE})
        grants.objects.get_or_create(collection=root, group=managers, user=None, defaults={"level": MANAGE})


class Migration(migrations.Migration):
    dependencies = [
        ("assets", "0007_colours_index"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
