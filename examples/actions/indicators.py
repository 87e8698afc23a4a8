"""Handle indicators of compromise: make them safe to paste, and recognise hashes."""

import re
from typing import Annotated, Any, Literal

from tocsin.actions import action

HASHES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}


@action()
def defang_indicators(
    text: Annotated[str, "text with URLs, addresses or domains"],
    direction: Literal["defang", "refang"] = "defang",
) -> dict[str, Any]:
    """Make links in a text unclickable (hxxp, [.]), or clickable again."""
    if direction == "refang":
        return {"text": re.sub(r"\bhxxp", "http", text.replace("[.]", ".").replace("[@]", "@"))}
    safe = re.sub(r"\bhttp(?=s?://)", "hxxp", text).replace("@", "[@]")
    safe = re.sub(r"(?<=\w)\.(?=\w)", "[.]", safe)
    print(f"{safe.count('[.]')} dots replaced")  # noqa: T201 - printed lines go to the execution's log
    return {"text": safe}


@action()
def hash_file_indicator(value: Annotated[str, "hexadecimal digest of a file"]) -> dict[str, Any]:
    """Recognise a file hash by its length and return it in lower case."""
    digest = value.strip().lower()
    kind = HASHES.get(len(digest)) if re.fullmatch(r"[0-9a-f]+", digest) else None
    if kind is None:
        raise ValueError("this is not an MD5, SHA-1, SHA-256 or SHA-512 digest")
    return {"type": kind, "value": digest}
