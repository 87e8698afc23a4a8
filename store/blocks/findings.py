"""What a check of the sealed trail is to look at, how far it has come, and what it has found."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

#: faults that are kept
MOST_FAULTS = 20
#: after the end of a period rows are looked for in blocks sealed for so much longer, ms: in a transaction that stayed
#: open they are older than their block
LATE = 3_600_000

ROW_CHANGED, ROW_MISSING, ROW_ADDED, ROW_ODD = "row_changed", "row_missing", "row_added", "row_odd"
SEAL_FORGED, SEAL_MISSING, CHAIN_BROKEN = "seal_forged", "seal_missing", "chain_broken"
UNKNOWN_KEY, ANCHOR_DIFFERS, MARK_FORGED = "unknown_key", "anchor_differs", "mark_forged"

#: whether a row counts: workspace, namespace, provider, action type
Counts = Callable[[str, str | None, str | None, str | None], bool]


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was sealed."""

    kind: str
    #: the number of the seal
    seal: int
    #: the first row that it concerns, where one is known
    record_id: int | None
    #: whose row that is
    workspace_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Want:
    """What is to be checked: rows of a period, counted where they match."""

    since: int | None = None
    until: int | None = None
    counts: Counts | None = None

    def reads(self, seal: Any) -> bool:
        """Whether a block may have a row of the period."""
        late = self.since is not None and seal.last_at < self.since
        return not late and (self.until is None or seal.first_at < self.until)

    def is_behind(self, seal: Any) -> bool:
        """Whether no block from this one on has rows of the period."""
        return self.until is not None and seal.first_at >= self.until and seal.sealed_at >= self.until + LATE

    def holds(self, seal: Any) -> bool:
        """Whether all rows of a block count."""
        whole = (self.since is None or seal.first_at >= self.since) and (
            self.until is None or seal.last_at < self.until
        )
        return whole and self.counts is None


@dataclass(kw_only=True)
class Progress:
    """How far a check has come, and what it has found."""

    #: the last seal that was checked
    number: int = 0
    seals: int = 0
    records: int = 0
    first_id: int | None = None
    last_id: int | None = None
    #: the first of the last seals that no known key has vouched for yet
    unvouched: int | None = None
    faults: list[Fault] = field(default_factory=list)
    ended: bool = False

    @property
    def valid(self) -> bool:
        """Whether everything was as it was sealed."""
        return not self.faults

    def fault(self, kind: str, seal: int, record_id: int | None = None, workspace_id: str | None = None) -> None:
        """Note a fault."""
        if len(self.faults) < MOST_FAULTS:
            known = workspace_id if isinstance(workspace_id, str) else None  # an odd row has any value there
            self.faults.append(Fault(kind, seal, record_id, known))

    def members(self) -> dict[str, Any]:
        """As plain values; ``of`` is the way back."""
        return asdict(self)

    @classmethod
    def of(cls, members: dict[str, Any]) -> Self:
        """The progress that ``members`` holds."""
        return cls(**{**members, "faults": [Fault(**one) for one in members["faults"]]})
