from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_routing"),
    ]

    operations = [
        migrations.AddField(
            model_name="taggingjob",
            name="traceparent",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What asked for it, as W3C's Trace Context says; empty if nobody traces.",
                max_length=55,
            ),
        ),
    ]
