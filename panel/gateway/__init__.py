"""The SSH gateway: SFTP, scp, rsync, git and shells with the panel's people, keys and rights."""
