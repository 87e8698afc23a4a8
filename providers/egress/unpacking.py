"""Unpacks the body of an answer that came compressed without request.

libcurl would unpack it too, but a body that cannot be unpacked, or that ends half-way, it takes for an empty one.
"""

import zlib

_AUTOMATIC = 32 + zlib.MAX_WBITS  # gzip's or zlib's frame, whichever is there
_PLAIN = ("", "identity")
_KNOWN = ("gzip", "x-gzip", "deflate")


class TooLargeError(Exception):
    """The unpacked body is larger than allowed."""


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """The body without ``coding``, of at most ``most`` bytes.

    ``coding`` is the header Content-Encoding.

    Raises:
        TooLargeError: it is larger.
        ValueError: it cannot be unpacked, and why.
    """
    coding = coding.strip().lower()
    if not body or coding in _PLAIN:
        return body
    if coding not in _KNOWN:
        raise ValueError(f"'{coding[:50]}' is not known here, only gzip and deflate are")
    parts, size = [], 0
    while body:
        # some servers send the bare stream as deflate, without a frame
        bare = coding == "deflate" and body[0] & 0x0F != zlib.DEFLATED
        inflating = zlib.decompressobj(-zlib.MAX_WBITS if bare else _AUTOMATIC)
        try:
            parts.append(inflating.decompress(body, most - size + 1))
        except zlib.error as error:
            raise ValueError(f"it is not {coding}") from error
        size += len(parts[-1])
        if size > most:
            raise TooLargeError
        if not inflating.eof:
            raise ValueError("it ends half-way")
        body = inflating.unused_data.lstrip(b"\0")  # gzip may come in several pieces, padded at the end
    return b"".join(parts)
