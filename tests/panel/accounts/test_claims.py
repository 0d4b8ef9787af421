"""What an OpenID Connect provider says of a person, and whether it is believed (`panel.accounts.claims`)."""

from typing import Any

import pytest

from panel.accounts.claims import BadClaims, Claims, agreed

TOKEN = {
    "iss": "https://id.example",
    "sub": "7",
    "aud": "wadah",
    "nonce": "n",
    "email": "ayu@example.test",
    "email_verified": True,
}
SAID = {"sub": "7", "email": "ayu@example.test", "email_verified": True}


def read(token: dict[str, Any], userinfo: Any = None) -> Claims:
    """None as a value: it isn't said at all."""
    said = {name: value for name, value in {**TOKEN, **token}.items() if value is not None}
    return agreed(said, userinfo, client_id="wadah", nonce="n")


@pytest.mark.parametrize(
    "value",
    ["false", "False", "0", "no", "TRUE", "True", " true", "yes", "", 1, 0, 1.0, [], ["true"], {"a": 1}, None],
)
def test_only_true_is_verified(value: Any) -> None:
    assert not read({"email_verified": value}).is_verified
    assert not read({"email": None, "email_verified": None}, {**SAID, "email_verified": value}).is_verified


@pytest.mark.parametrize("value", [True, "true"])
def test_true_and_the_text_of_known_providers_are(value: Any) -> None:
    assert read({"email_verified": value}).is_verified
    assert read({"email_verified": value}, SAID).is_verified
    assert read({"email": None, "email_verified": None}, {**SAID, "email_verified": value}).is_verified


@pytest.mark.parametrize(
    "token",
    [
        {"sub": "8"},
        {"sub": 7},
        {"email": "other@example.test"},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"azp": "another-client"},
        {"aud": ["wadah", "another-client"]},
        {"aud": ["wadah", "another-client"], "azp": "another-client"},
    ],
    ids=str,
)
def test_what_disagrees_is_refused(token: dict[str, Any]) -> None:
    with pytest.raises(BadClaims):
        read(token, SAID)


@pytest.mark.parametrize("odd", [[], "text", 7, {}, {"sub": None}, {"sub": 7}, {"sub": "8"}], ids=repr)
def test_an_odd_userinfo_is_refused(odd: Any) -> None:
    with pytest.raises(BadClaims):
        read({}, odd)


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, ["7"]], ids=repr)
def test_without_a_good_subject_it_is_nobody(subject: Any) -> None:
    with pytest.raises(BadClaims):
        read({"sub": subject})


@pytest.mark.parametrize(
    "token",
    [{"email": "AYU@Example.Test"}, {"aud": ["wadah", "another-client"], "azp": "wadah"}, {"azp": "wadah"}],
    ids=str,
)
def test_what_says_the_same_agrees(token: dict[str, Any]) -> None:
    claims = read(token, SAID)
    assert (claims.email, claims.is_verified) == ("ayu@example.test", True)


def test_an_address_is_verified_by_the_document_that_names_it() -> None:
    """Not by a word of the other one, which may mean another address."""
    assert not read({"email_verified": None}, {"sub": "7", "email_verified": True}).is_verified


@pytest.mark.parametrize(
    "email", ["\u0131da@example.test", "\u212aai@example.test", "no address", 7, ["a@b.test"]]
)
def test_a_look_alike_is_no_address(email: Any) -> None:
    claims = read({"email": email})
    assert (claims.email, claims.is_verified) == ("", False)


def test_the_same_subject_elsewhere_is_somebody_else() -> None:
    assert read({}).uid != read({"iss": "https://other.example"}).uid
    assert len(read({"iss": "https://id.example/" + "x" * 400}).uid) <= 191
