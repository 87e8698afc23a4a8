"""``python -m launcher.rules test``: cases for the rules of a folder, decided without a server."""

from pathlib import Path

import pytest

from launcher import rules

FOLDER = {
    "providers.yaml": "providers: {mail: {kind: mock}, pager: {kind: pagerduty, routing_key: '${NOT_SET_HERE}'}}",
    "time_intervals.yaml": "time_intervals: [{name: nights, time_intervals:"
    " [{times: [{start_time: '00:00', end_time: '06:00'}]}]}]",
    "rules/all.yaml": """\
rules:
  - name: tests
    condition: {field: action.metadata.environment, eq: test}
    action: {type: suppress}
  - name: storm
    condition: {state_counter: page, within_seconds: 60, gt: 3}
    action: {type: deny}
  - name: urgent
    condition: {all: [{field: action.provider, eq: mail}, {field: action.payload.severity, eq: high}]}
    action: {type: reroute, target_provider: pager}
    mute_time_intervals: [nights]
""",
}
ACTION = "{namespace: soc, tenant: acme, provider: mail, action_type: page, payload: {severity: high}}"
HOLDS = f"""\
cases:
  - {{name: by day, at: '2026-04-28T09:00:00Z', action: {ACTION},
     expect: {{verdict: reroute, rule: urgent, target: pager}}}}
  - {{name: by night, at: '2026-04-28T03:00:00Z', action: {ACTION}, expect: {{verdict: mute, rule: urgent}}}}
  - {{name: many, at: '2026-04-28T09:00:00Z', action: {ACTION}, state: {{page: 4}}, expect: {{verdict: deny}}}}
"""


@pytest.fixture
def tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Tests a text; the status, and what is printed and complained about."""

    def run(text: str, **files: str) -> tuple[int, str, str]:
        for name, content in {**FOLDER, **files}.items():
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_text(content)
        file = tmp_path / "cases.yaml"
        file.write_text(text)
        status = rules.main(["test", str(file), "--folder", str(tmp_path / "folder")])
        said = capsys.readouterr()
        return status, said.out.replace(str(tmp_path), ""), said.err.replace(str(tmp_path), "")

    return run


def test_cases_that_hold(tested):
    """Each at its moment, by calendars and with what it says is recorded; variables need not be set."""
    assert tested(HOLDS) == (0, "3 of 3 cases hold.\n", "")


def test_a_case_that_does_not_hold_says_why(tested):
    """What differs, member by member, at its line; and what became of the rules that are named, part by part."""
    status, said, _ = tested(
        HOLDS
        + f"""\
  - name: quiet
    at: '2026-04-28T09:00:00Z'
    action: {ACTION}
    expect: {{verdict: suppress, rule: tests}}
"""
    )
    assert status == 1
    assert said.splitlines() == [
        "/cases.yaml:6 quiet",
        "  - verdict: suppress",
        "  + verdict: reroute",
        "  - rule: tests",
        "  + rule: urgent",
        "    rule 'tests' (rules/all.yaml): not matched",
        '      action.metadata.environment eq "test": false, found None',
        "    rule 'urgent' (rules/all.yaml): matched",
        '      (action.provider eq "mail" and action.payload.severity eq "high"): true',
        "        action.provider eq \"mail\": true, found 'mail'",
        "        action.payload.severity eq \"high\": true, found 'high'",
        "3 of 4 cases hold.",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "/cases.yaml:1 /: a file of tests is an object with cases, a list"),
        ("cases: [7]", "/cases.yaml:1 /cases/0: must be an object with some of name, action, at, expect, state"),
        (HOLDS.replace("at: '2026-04-28T09:00:00Z'", "at: today"), "/cases/0/at: must be a time with its zone"),
        (HOLDS.replace("verdict: mute", "verdict: muted"), "must be one of allow, deny"),
        (HOLDS.replace("tenant: acme", "tennant: acme"), "did you mean 'tenant'?"),
        (HOLDS.replace("{page: 4}", "{page: -1}"), "/cases/2/state: must be an object of names and whole numbers"),
        ("cases: {", "cases.yaml:"),
    ],
)
def test_faults_of_the_file_are_named(tested, text, fault):
    """With line and pointer; nothing is tested, and the status is another one."""
    status, said, complained = tested(text)
    assert (status, said) == (2, "")
    assert fault in complained


def test_faults_of_the_folder_are_those_of_a_load(tested):
    """The same lines, and the same status as a faulty file."""
    status, _, complained = tested(HOLDS, **{"rules/b.yaml": "rules: [{name: b, action: {type: allow}}]"})
    assert (status, complained) == (2, "rules/b.yaml:1 /rules/0/condition: a rule needs its condition\n")
