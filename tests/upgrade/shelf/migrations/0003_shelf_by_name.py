from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("loops", "0002_shelf_width"),)
    operations = (AddIndexConcurrently("shelf", models.Index(fields=["name"], name="shelf_by_name")),)
