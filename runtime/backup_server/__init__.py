"""Lets the other nodes of the installation have backups in the directory that this node gives.

It speaks restic's own protocol of REST servers, over TLS, with a certificate that the panel passes on; each
request has a pass of the panel's for one repository. restic encrypts before anything comes here.
"""
