from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0004_update_base"),
    ]

    operations = [
        migrations.AlterField(
            model_name="operation",
            name="kind",
            field=models.CharField(choices=[('create', 'create'), ('update', 'update'), ('start', 'start'), ('stop', 'stop'), ('restart', 'restart'), ('pause', 'pause'), ('resume', 'resume'), ('rescue', 'start the rescue system'), ('leave_rescue', 'leave the rescue system'), ('reinstall', 'reinstall'), ('credentials', 'change credentials'), ('forwards', 'change port forwards'), ('addresses', 'change addresses'), ('snapshot', 'change snapshots'), ('restore', 'restore'), ('backup', 'back up'), ('delete_backup', 'delete a backup'), ('prove_backup', 'prove a backup'), ('put_back', 'put back a file'), ('commit', 'publish as an image'), ('check_target', 'check a backup target'), ('volumes', 'change volumes'), ('make_volume', 'make a volume'), ('resize_volume', 'resize a volume'), ('delete_volume', 'delete a volume'), ('snapshot_volume', 'snapshot a volume'), ('delete_snapshot', 'delete a snapshot of a volume'), ('restore_volume', 'restore a volume'), ('names', 'tell of names'), ('deploy', 'deploy'), ('suspend', 'suspend'), ('trash', 'put into the trash'), ('undelete', 'bring back'), ('delete', 'delete'), ('build', 'build'), ('promote', 'promote'), ('roll_back', 'roll back'), ('update_base', 'update the base'), ('quota', 'change the quota')], max_length=16),
        ),
    ]
