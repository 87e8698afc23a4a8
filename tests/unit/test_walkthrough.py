"""The check of pages finds what differs, and only that."""

from pathlib import Path

from tests.support.walkthrough import Block, fault, read

PAGE = """
Save this as `first.yaml`:

```yaml
name: First
```

```sh
echo one
```

Text between.

```json
{"id": "exec-0123456789abcdef01", "at": "2026-01-01T00:00:00.000Z", "status": "completed", "duration_ms": 3}
```

```
make run
```

```sh
echo two
```
"""


def test_a_page_is_files_commands_and_answers(tmp_path: Path) -> None:
    """A block that is neither to be saved nor commands nor an answer is passed over."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = read(page)
    assert found.files == {"first.yaml": "name: First\n"}
    assert [(block.line, block.commands) for block in found.blocks] == [(9, "echo one\n"), (23, "echo two\n")]
    assert found.blocks[0].shown is not None
    assert found.blocks[1].shown is None


def test_ids_and_times_are_equal_and_nothing_else_is() -> None:
    """Another id, time or duration is no fault; another word, member, type or an answer not shown is."""
    shown = (
        '{"id": "exec-0123456789abcdef01", "at": "2026-01-01T00:00:00.000Z", "status": "completed", "duration_ms": 3}'
    )
    same = '{"id": "exec-fedcba98765432100f", "at": "2027-01-01T00:00:00.1Z", "status": "completed", "duration_ms": 40}'
    assert not fault(Block(1, "", shown, same))
    assert not fault(Block(1, "x=1"))
    for printed in (
        same.replace("completed", "failed"),
        same.replace('"status"', '"state"'),
        same.replace('"exec-', '"pexec-'),
        same[:-1] + ', "more": null}',
        "",
    ):
        assert fault(Block(1, "", shown, printed)), printed
    assert fault(Block(1, "", None, "an answer"))
    assert fault(Block(1, "", shown, same, trouble="curl: (7) Failed to connect"))
