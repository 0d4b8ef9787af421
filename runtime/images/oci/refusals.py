"""Refusals of registries: what was found in a container that asked one, as a fault with a sentence."""

from typing import Any

from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.errors import RuntimeFault


def told(told: Any) -> tuple[str, dict[str, Any]]:
    """What was found in there. Who was led astray may say anything."""
    try:
        name, values = told
        return str(name), {str(key): str(one)[:600] for key, one in values.items()}
    except (TypeError, ValueError, AttributeError):
        return "odd_manifest", {"why": "?"}


def found(name: str, values: dict[str, Any]) -> RuntimeFault:
    """The words are ours."""
    steps = {"other_platform": apps.choose_another_platform()}
    try:
        said = apps.FOUND[name](**{key: plain(one) for key, one in values.items()})
    except (KeyError, TypeError):
        name, said = "odd_manifest", apps.odd_manifest("?")
    if "disk quota exceeded" in str(said).lower() or "no space left" in str(said).lower():
        return RuntimeFault(
            said, code="image_too_large", next_step=apps.choose_a_smaller_one(), retryable=False
        )
    return RuntimeFault(
        said, code=name, next_step=steps.get(name, apps.look_at_the_registry()), retryable=False
    )


def of_the_way(why: Said) -> RuntimeFault:
    code = why.code.rpartition(".")[2]
    known = {
        "registry_inward": apps.ask_for_the_registry(),
        "without_tls": apps.ask_for_the_registry(),
        "image_too_large": apps.choose_a_smaller_one(),
        "registry_unknown": apps.check_the_name(),
    }
    step = known.get(code, apps.look_at_the_registry())
    return RuntimeFault(why, code=code, next_step=step, retryable=code == "registry_silent")


def plain(text: str) -> str:
    """Of a program that read what strangers sent: nothing but letters that are seen."""
    return "".join(one for one in text if one.isprintable())[:400]


def not_signed(image: str, said: str) -> RuntimeFault:
    """By the last line of skopeo, whose policy took the image for none of its own."""
    text = said.lower()
    if "sigstore disabled" in text:
        return RuntimeFault(
            apps.no_sigstore(image),
            code="sigstore_unavailable",
            next_step=apps.sign_by_gpg(),
            retryable=False,
        )
    is_unsigned = "no signature exists" in text
    why = plain(said.partition("ejected: ")[2].rstrip('"'))
    return RuntimeFault(
        apps.not_signed(image) if is_unsigned else apps.signed_otherwise(image, why),
        code="image_not_signed" if is_unsigned else "image_signed_otherwise",
        next_step=apps.have_it_signed(),
        retryable=False,
    )
