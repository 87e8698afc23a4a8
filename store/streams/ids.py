"""The ids of stream events: UUIDs of version 7 that carry a place in the audit trail.

The first 48 bits are a time, as in every UUID of that version; the other 74 are the id of a row, the number of the
event among those of the row, and zeros, permuted together under a key and the time. So an id is the same in every
process and after a restart, leads back to its place, and tells a client nothing about the events of others. An id that
was altered or made up does not have the zeros.

The permutation is a Feistel network of two halves of 37 bits, with BLAKE2b as its round function.
"""

import functools
import hashlib
import re
import uuid
from typing import Any, NamedTuple

from config.settings import settings
from store.sealing import subkeys

#: the number of an id that stands for the place behind a row and all its events
BEHIND = 3

_PURPOSE = "stream id"
_ROUNDS = 8
_TURNS = [bytes((turn,)) for turn in range(_ROUNDS)]
_HALF, _NUMBER, _ZEROS = 37, 2, 22
_HALF_MASK = (1 << _HALF) - 1
_MOST_ROW = 1 << (2 * _HALF - _NUMBER - _ZEROS)
_HALF_BYTES = (_HALF + 7) // 8
#: the lower of the two parts that the variant separates
_LOWER = 62
_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Mark(NamedTuple):
    """What an id says: a time (ms), a row of the trail, and the number of an event among those of the row."""

    at: int
    row: int
    number: int


def of(mark: Mark) -> str:
    """The id of an event, or of a place."""
    if not 0 <= mark.row < _MOST_ROW:
        raise ValueError(f"row {mark.row} does not fit into an id")
    at = mark.at & ((1 << 48) - 1)
    permuted = _permuted(subkeys.newest(), at, (mark.row << _NUMBER | mark.number) << _ZEROS)
    upper, lower = permuted >> _LOWER, permuted & ((1 << _LOWER) - 1)
    return str(uuid.UUID(int=at << 80 | 0x7 << 76 | upper << 64 | 0x2 << _LOWER | lower))


def read(text: str) -> Mark | None:
    """What an id says; None for a text that is none of ours."""
    if not _FORM.fullmatch(text):
        return None
    whole = uuid.UUID(text).int
    at, permuted = whole >> 80, (whole >> 64 & 0xFFF) << _LOWER | whole & ((1 << _LOWER) - 1)
    for root in settings().secret_keys:
        value = _restored(root, at, permuted)
        if not value & ((1 << _ZEROS) - 1):
            said = value >> _ZEROS
            return Mark(at, said >> _NUMBER, said & ((1 << _NUMBER) - 1))
    return None


def _permuted(root: str, at: int, value: int) -> int:
    left, right = value >> _HALF, value & _HALF_MASK
    keyed, time = _keyed(root), at.to_bytes(6)
    for turn in range(_ROUNDS):
        left, right = right, left ^ _mixed(keyed, turn, time, right)
    return left << _HALF | right


def _restored(root: str, at: int, value: int) -> int:
    left, right = value >> _HALF, value & _HALF_MASK
    keyed, time = _keyed(root), at.to_bytes(6)
    for turn in reversed(range(_ROUNDS)):
        left, right = right ^ _mixed(keyed, turn, time, left), left
    return left << _HALF | right


def _mixed(keyed: Any, turn: int, at: bytes, half: int) -> int:
    mixing = keyed.copy()
    mixing.update(_TURNS[turn] + at + half.to_bytes(_HALF_BYTES))
    return int.from_bytes(mixing.digest()) & _HALF_MASK


@functools.lru_cache(maxsize=16)
def _keyed(root: str) -> Any:
    """The round function before its input: the key is the same for all ids."""
    return hashlib.blake2b(digest_size=_HALF_BYTES, key=subkeys.subkey(root, _PURPOSE))
