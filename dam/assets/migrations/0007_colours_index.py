import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("assets", "0006_embargo_index"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="asset",
            index=django.contrib.postgres.indexes.GinIndex(fields=["colours"], name="asset_colours"),
        ),
    ]
