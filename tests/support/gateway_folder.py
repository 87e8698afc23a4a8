"""A configuration folder for tests, as texts by path; and a way to put rules in force without one."""

from gateway.configuration.folder import load
from gateway.configuration.providers import Surroundings
from providers import registry
from store.engine import db
from store.gateway import configurations
from store.gateway.configurations import NewGeneration
from tasks.generations import follow

ENVIRONMENT = {"SLACK_URL": "https://hooks.slack.com/services/T0/B0/abcdefgh", "TOKEN": "t0ken", "MAIL_PASSWORD": "p"}

PROVIDERS = """\
providers:
  email:
    kind: email
    host: mail.example.org
    from: soc@example.org
    username: soc
    password: ${MAIL_PASSWORD}
  slack: {kind: slack, url: "${SLACK_URL}"}
  pager: {kind: pagerduty, routing_key: R0123456789012345678901234567890}
  teams: {kind: teams, url: https://example.webhook.office.com/webhookb2/abc, title: "{{ action_type }}"}
  ticket:
    kind: http
    url: https://tickets.example.org/api/tickets
    headers: {Authorization: "Bearer ${TOKEN}"}
    timeout_seconds: 10
    retry: {max_attempts: 3, backoff_seconds: 1}
  look-up: {kind: script, interpreter: python, script: "print('{}')"}
  isolate: {kind: action, action: act-isolate}
  respond: {kind: playbook, playbook: pb-respond}
  note: {kind: log, level: warning}
  drill: {kind: mock, behaviour: fail, first: 2}
circuit_breakers:
  email: {failure_threshold: 3, fallback_provider: slack}
  slack:
"""
CHAINS = """\
chains:
  - name: enrich-and-tell
    timeout_seconds: 90
    steps:
      - name: look
        provider: look-up
        action_type: look_up
        payload_template: {host: "{{ origin.payload.host }}"}
        retry: {max_retries: 2, backoff_ms: 500}
        branches:
          - {field: body.risk, operator: gte, value: 7, target: call}
          - {field: success, operator: eq, value: false, target: tell}
        default_next: tell
        on_failure: skip
      - name: call
        provider: pager
        action_type: page
        payload_template: {summary: "risk {{ prev.body.risk }} on {{ origin.payload.host | upper }}"}
      - name: tell
        provider: slack
        action_type: post
        delay_seconds: 5
        payload_template: '{"text": "{{ prev.text | default(origin.action_type) }} ({{ chain_id }}, {{ step_index }})"}'
  - name: parallel
    steps:
      - name: both
        parallel:
          on_failure: best_effort
          steps:
            - {name: one, provider: drill, action_type: a}
            - {name: two, sub_chain: enrich-and-tell}
      - name: close
        sub_chain: enrich-and-tell
        delay_seconds: 2
        payload_template: {host: "{{ steps.one.body.host }}"}
"""
RULES = """\
rules:
  - name: urgent-by-slack
    priority: 5
    condition:
      all:
        - field: action.payload.priority
          eq: urgent
        - field: action.provider
          eq: email
    action:
      type: reroute
      target_provider: slack
  - name: research
    condition: {field: action.action_type, eq: research}
    action: {type: chain, chain_name: enrich-and-tell}
"""
FOLDER = {"providers.yaml": PROVIDERS, "chains.yaml": CHAINS, "rules/a.yaml": RULES}


def check_config(executor, config, names):
    """What the real executors say of a config."""
    return registry.executor(executor).check(config, names)


AROUND = Surroundings(ENVIRONMENT, check_config)


def loaded(**changes):
    """The folder, with other texts where given (``rules_a`` for ``rules/a.yaml``; None leaves it out)."""
    names = {
        "providers": "providers.yaml",
        "chains": "chains.yaml",
        "rules_a": "rules/a.yaml",
        "rules_b": "rules/b.yaml",
    }
    texts = {**FOLDER, **{names[name]: text for name, text in changes.items()}}
    return load({file: text for file, text in texts.items() if text is not None}, AROUND)


def put_in_force(rules, **changes):
    """Make a generation with these rules (YAML) the newest, in the database and in this process."""
    found = loaded(rules_a=rules, **changes)
    assert not found.faults, found.faults
    made = found.generation
    with db.write() as connection:
        configurations.begin(connection)
        new = NewGeneration(
            body=made.text(), digest="", revisions={}, source="a test", rules=len(made.rules), loaded_by="test"
        )
        configurations.end(connection, configurations.add(connection, new))
    follow.look()
