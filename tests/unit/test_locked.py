"""What travels locked: its form on the wire stays, since panel and nodes aren't upgraded at once."""

from uuid import UUID

import pytest

from runtime.contract import BackupSecrets, Locked, Repository, lock_secrets, open_secrets

SOMEONE, KEY = UUID(int=7), b"key"
NIGHTLY = Repository(tenant_id=SOMEONE, name="nightly")
#: Written by version 0.1.0.
OF_AN_APP = (
    "gAAAAABrDQ2mz_0L-ZaS-VEf_TWlTR27PmGxSR8eBS-GCikiB_3HplV4i_IJgc_VkyeT1133Mm6gyJm21CeQzAzotdujWbdAOw=="
)
OF_A_BACKUP = (
    "gAAAAABrDQ2mXQiIDYfVI6zm5l4kMxQNlc4eSHo_AXahBAiu5p2BGVoRx6Gai2lCT86wj3vfQxmGzC8EbJyubFjiME3jrRs3DA2x2JTBII"
    "w3GgpknlQkqiSxiMBBTjkBWwpjJGh5ltdV"
)


def test_what_an_earlier_version_locked_is_opened() -> None:
    assert open_secrets(Locked(text=OF_AN_APP), SOMEONE, key=KEY) == {"A": "one"}
    opened = BackupSecrets.opened(Locked(text=OF_A_BACKUP), NIGHTLY, key=KEY)
    assert (opened.password, opened.about) == ("open", "{}")


def test_for_one_key_and_one_purpose_alone() -> None:
    app = lock_secrets({"A": "one"}, SOMEONE, key=KEY)
    backup = BackupSecrets(password="open").locked(NIGHTLY, key=KEY)
    other = NIGHTLY.model_copy(update={"name": "weekly"})
    for attempt in (
        lambda: open_secrets(app, UUID(int=8), key=KEY),
        lambda: open_secrets(app, SOMEONE, key=b"another"),
        lambda: open_secrets(backup, SOMEONE, key=KEY),
        lambda: BackupSecrets.opened(backup, other, key=KEY),
        lambda: BackupSecrets.opened(app, NIGHTLY, key=KEY),
        lambda: BackupSecrets.opened(backup, NIGHTLY, key=b""),
    ):
        with pytest.raises(ValueError, match=r"opened|no key"):
            attempt()
    assert "open" not in repr(backup) + repr(app)
