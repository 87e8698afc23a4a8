"""How the processes of ``pytest -n`` share the tests. Imports nothing of the project: it is quick to begin."""

from typing import Any

import pytest

#: the acceptance tests of ``make test`` that need PostgreSQL
_TOGETHER = "postgresql"
#: its tests take minutes each, with a product of their own
_APART = "test_openapi_fuzz.py"
#: its tests read all modules: one process parses them once
_HOUSE = "tests/house/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the files out: each goes as a whole to the first process that is free.

    Its acceptance tests on PostgreSQL, which need another product and a server, go apart; the few of ``make test`` go
    together. (The marker ``xdist_group``, which could say this, is not heeded under pytest 9.2.)

    Acceptance tests mostly wait, the others mostly compute: half of the processes begin with the former, half with the
    latter, so that no processor stands still while they wait.

    In the gate every other process begins with what is on PostgreSQL, and each stays with its kind of database while
    there is any: for the other kind it would start another product.
    """
    from xdist.scheduler import LoadScopeScheduling

    few = "not gate" in config.option.markexpr
    #: process → whether the acceptance tests that it was given last are on PostgreSQL
    kinds: dict[Any, bool] = {}

    class Files(LoadScopeScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            place = self.nodes.index(node)
            waits, kind = place < (len(self.nodes) + 1) // 2, kinds.get(node, place % 2 == 1)

            def fits(scope: str) -> tuple[bool, bool]:
                waiting = "acceptance" in scope or scope == _TOGETHER
                return waiting is waits, few or not waiting or ("postgresql" in scope) is kind

            first = max(self.workqueue, key=fits)  # of those that fit as well, the first one
            if "acceptance" in first:
                kinds[node] = "postgresql" in first
            self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

        def _reschedule(self, node: Any) -> None:
            # xdist's own would bind the next file to a process that is still to run two long tests
            if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            if path.endswith(_APART):
                return nodeid
            if _HOUSE in path:
                return _HOUSE
            if "acceptance" not in path or "postgresql" not in test.partition("[")[2]:
                return path
            return _TOGETHER if few else f"{path} on postgresql"

    return Files(config, log) if config.getvalue("dist") == "loadgroup" else None
