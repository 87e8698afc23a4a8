"""JSON pointers (RFC 6901): member names written into and read from pointers."""


def escape(name: str) -> str:
    """The name as it stands in a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescape(part: str) -> str:
    """The name that a part of a pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def step(name: object) -> str:
    """The part of a pointer that leads to the member ``name``."""
    return f"/{escape(str(name))}"
