from django.db import migrations, models


class Migration(migrations.Migration):
    """Apart from what fills the rows: PostgreSQL changes no table that has triggers waiting."""

    dependencies = [
        ('operations', '0007_subject'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('subject_type', 'environment'), _negated=True), fields=['subject_type', 'subject_id', '-created_at'], name='operation_subject'),
        ),
    ]
