from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("loops", "0001_initial"),)
    operations = (migrations.AddField("shelf", "width", models.IntegerField(db_default=80)),)
