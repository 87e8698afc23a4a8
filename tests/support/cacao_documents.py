"""Random CACAO 2.0 playbooks without a fault, and ways to damage one.

``documents`` draws playbooks with every type of step, command, agent, authentication information, marking and
extension. Branches nest and each has an end of its own, names lead somewhere, so neither the schemas nor the text of
the standard have anything against them. ``mutations`` does one small damage that the published schemas refuse;
``changes`` puts anything anywhere, which they may or may not refuse.
"""

import base64
import copy
import hashlib
import random as chance
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Path = tuple[str | int, ...]

TEXTS = ("", "isolate the host", 'say "no"', "naïve Ünïcödé ✓", "two\nlines", "~/a~1b", "\U0001f512", "a\u202eb")
COMPOSITES = ("parallel", "if-condition", "while-condition", "switch-condition")
TEXT_COMMANDS = ("manual", "bash", "ssh", "powershell", "caldera-cmd")
ENCODED_COMMANDS = ("elastic", "jupyter", "kestrel", "sigma", "yara")
AGENTS = (
    *("group", "individual", "organization", "location", "sector", "security-category"),
    *("http-api", "ssh", "linux", "net-address", "soarca"),
)
AUTHENTICATION = ("http-basic", "oauth2", "user-auth")
MARKINGS = ("marking-statement", "marking-tlp", "marking-iep")
VARIABLES = {"string": "", "bool": "true", "ipv4-addr": "192.0.2.7", "dictionary": '{"a": 1}', "own": None}
DEEPEST = 3
#: takes the place of a member that a damage removes
GONE = object()


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """A playbook in which a check finds nothing."""
    return _Maker(draw(st.randoms(use_true_random=False)), draw(st.integers(0, 2**32))).playbook()


def one(seed: int) -> Json:
    """The playbook of a number, in which a check finds nothing."""
    return _Maker(chance.Random(seed), seed).playbook()


def mutations(document: Json) -> st.SearchStrategy[Json]:
    """The document with one small damage that makes it invalid."""
    return st.sampled_from(list(_damages(document))).map(lambda damage: _changed(document, *damage))


def changes(document: Json) -> st.SearchStrategy[Json]:
    """The document with anything anywhere, valid or not."""
    anything: tuple[Any, ...] = (
        GONE,
        None,
        True,
        5,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [[]],
        {"type": "x"},
        [5],
        f"x--{uuid.UUID(int=0)}",
    )
    places = st.sampled_from(list(_places(document)))
    return st.builds(_changed, st.just(document), places, st.sampled_from(anything))


def _changed(document: Json, path: Path, value: Any) -> Json:
    changed = copy.deepcopy(document)
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    if value is GONE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = copy.deepcopy(value)
    return changed


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from _places(member, (*path, key))


class _Maker:
    """Maker of one playbook: first the referenced objects, then steps, outermost first."""

    def __init__(self, random: chance.Random, seed: int) -> None:
        self.random = random
        self.seed = seed
        self.made = 0
        self.workflow: Json = {}

    def playbook(self) -> Json:
        self.extensions = {self.new("extension-definition"): self.extension_definition() for _ in self.some(2)}
        self.variables = {f"__{name}_{number}__": self.variable() for number, name in enumerate(self.some_of("aZ_"))}
        if self.variables and self.maybe():
            self.variables[next(iter(self.variables))]["external"] = True
        self.logins = {self.new(kind): self.login(kind) for kind in self.some_of(AUTHENTICATION)}
        self.agents = {self.new(kind): self.agent(kind) for kind in self.some_of(AGENTS) or ["linux"]}
        self.targets = {self.new(kind): self.agent(kind) for kind in self.some_of(AGENTS)}
        # what acts may also be acted on
        self.targets |= {name: agent for name, agent in self.agents.items() if self.maybe()}
        self.markings = {self.new(kind): kind for kind in self.some_of(MARKINGS)}
        self.markings = {name: self.marking(name, kind) for name, kind in self.markings.items()}
        return self.whole()

    def whole(self) -> Json:
        first = self.new("start")
        self.workflow[first] = {"type": "start", "on_completion": self.block(0), **self.common()}
        document: Json = {"type": "playbook", "spec_version": "cacao-2.0", "id": self.new("playbook")}
        document |= {"name": self.text(), "created_by": self.new("identity"), "created": "2024-02-29T23:59:60.000Z"}
        document |= {"modified": "2024-03-01T00:00:00.001Z", "workflow_start": first, "workflow": self.workflow}
        defined = {
            "playbook_variables": self.variables,
            "agent_definitions": self.agents,
            "target_definitions": self.targets,
            "authentication_info_definitions": self.logins,
            "extension_definitions": self.extensions,
            "data_marking_definitions": self.markings,
            "markings": list(self.markings),
        }
        document |= {name: value for name, value in defined.items() if value} | self.said()
        if self.maybe():
            document["workflow_exception"] = self.block(DEEPEST)
        return document | self.extended("playbook_extensions")

    def said(self) -> Json:
        """What a playbook says of itself."""
        made: dict[str, Callable[[], Any]] = {
            "description": self.text,
            "playbook_activities": lambda: ["restrict-access", "my-own"],
            "playbook_processing_summary": lambda: {"parallel_processing": True, "if_logic": False},
            "revoked": lambda: False,
            "derived_from": lambda: [self.new("playbook")],
            "related_to": lambda: [self.new("malware")],
            "priority": lambda: self.random.randint(0, 100),
            "severity": lambda: 100,
            "impact": lambda: 0,
            "industry_sectors": lambda: ["energy"],
            "labels": lambda: [self.text()],
            "external_references": self.references,
            "signatures": lambda: [self.signature(count) for count in self.some(2)] or [self.signature(1)],
        }
        said: Json = {name: make() for name, make in made.items() if self.maybe()}
        if "playbook_activities" in said and self.maybe():
            said["playbook_types"] = ["attack"]
        if self.maybe():
            said |= {"valid_from": "2024-01-01T00:00:00Z", "valid_until": "2024-01-01T00:00:00.5Z"}
        return said

    # steps

    def block(self, depth: int) -> str:
        """Some steps one after the other and their end; returns the first."""
        end = self.new("end")
        self.workflow[end] = {"type": "end", **self.common()}
        following = end
        for _ in range(self.random.randint(0 if depth else 1, 4)):
            kinds = ["action", "action", "playbook-action", *(COMPOSITES if depth < DEEPEST else ())]
            following = self.step(
                "action" if following == end and not depth else self.any(kinds), following, end, depth
            )
        return following

    def step(self, kind: str, following: str, end: str, depth: int) -> str:
        name = self.new(kind)
        step: Json = {"type": kind, **self.common(), **self.extended("step_extensions")}
        if self.maybe():
            step["step_variables"] = {"__own__": self.variable()}
        if self.maybe():
            step |= {"on_completion": following}
        else:
            step |= {"on_success": following} | ({"on_failure": self.any([following, end])} if self.maybe() else {})
        known = [*self.variables, *step.get("step_variables", ())]
        step |= getattr(self, kind.replace("-", "_"))(depth + 1, known)
        self.workflow[name] = step
        return name

    def action(self, _depth: int, known: list[str]) -> Json:
        step: Json = {
            "commands": [self.command(known) for _ in range(self.random.randint(1, 3))],
            "agent": self.any(list(self.agents)),
        }
        if self.targets and self.maybe():
            step["targets"] = [self.any(list(self.targets))]
        return step | self.arguments(known)

    def playbook_action(self, _depth: int, known: list[str]) -> Json:
        version = {"playbook_version": "2023-01-01T00:00:00.000Z"} if self.maybe() else {}
        return {"playbook_id": self.new("playbook"), **version, **self.arguments(known)}

    def parallel(self, depth: int, _known: list[str]) -> Json:
        return {"next_steps": [self.block(depth) for _ in range(self.random.randint(2, 3))]}

    def if_condition(self, depth: int, known: list[str]) -> Json:
        otherwise = {"on_false": self.block(depth)} if self.maybe() else {}
        return {"condition": self.meant(known), "on_true": self.block(depth), **otherwise}

    def while_condition(self, depth: int, known: list[str]) -> Json:
        return {"condition": self.meant(known), "on_true": self.block(depth)}

    def switch_condition(self, depth: int, known: list[str]) -> Json:
        return {"switch": self.meant(known), "cases": {case: self.block(depth) for case in ("a", "default")}}

    def common(self) -> Json:
        common: Json = {"name": self.text()} if self.maybe() else {}
        if self.rarely():
            common |= {"description": self.text(), "external_references": self.references()}
        if self.rarely():
            common |= {"delay": self.random.randint(1, 10**6), "timeout": 0, "owner": self.new("identity")}
        return common

    def arguments(self, known: list[str]) -> Json:
        return {name: [self.any(known)] for name in ("in_args", "out_args") if known and self.maybe()}

    def command(self, known: list[str]) -> Json:
        kind = self.any([*TEXT_COMMANDS, *ENCODED_COMMANDS, "http-api", "openc2-http", "ftp"])
        encoded = base64.b64encode(self.text().encode()).decode()
        command: Json = {"type": kind}
        if kind in ENCODED_COMMANDS or (kind in TEXT_COMMANDS and self.maybe()):
            command["command_b64"] = encoded
        elif kind in ("http-api", "openc2-http"):
            command |= {"command": f"POST /{self.meant(known)} HTTP/1.1", "headers": {"X-Id": [self.meant(known)]}}
            command["content_b64" if kind == "openc2-http" or self.maybe() else "content"] = encoded
        else:
            command["command"] = self.meant(known)
        if self.rarely():
            command |= {"description": "", "version": "1", "playbook_activity": "scan-system"}
            command["external_references"] = self.references()
        return command

    # what steps refer to

    def agent(self, kind: str) -> Json:
        agent: Json = {"type": kind, "name": self.text(), **self.extended("agent_target_extensions")}
        if kind in ("group", "individual", "organization"):
            agent["contact"] = {"email": {"work": "a@host.example"}, "phone": {"": "1"}, "contact_details": ""}
        if kind == "location":
            agent |= {"logical": ["lab"], "location": {"region": "europe", "city": self.text()}}
        if kind == "sector":
            agent["sector"] = "energy"
        if kind in ("http-api", "ssh", "linux", "net-address"):
            agent["address"] = self.address()
            if kind != "net-address":
                agent["port"] = "443"
            if self.logins:
                agent["authentication_info"] = self.any(list(self.logins))
        if kind in ("security-category", "ssh"):
            agent["category"] = ["server"]
        return agent

    def address(self) -> Json:
        addresses = {
            "url": ["https://www.example.com/a"],
            "ipv4": ["192.0.2.1", "192.0.2.2"],
            "ipv6": ["2001:db8::1", "::", "fe80::1%eth0", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"],
            "l2mac": ["00:00:5e:00:53:aF"],
            "vlan": [0, 4095],
            "dname": ["host.example"],
        }
        return {name: addresses[name] for name in self.some_of(addresses) or ["dname"]}

    def login(self, kind: str) -> Json:
        own = {"http-basic": ("user_id", "password"), "oauth2": ("oauth_header", "token")}
        login: Json = {"type": kind, **dict.fromkeys(own.get(kind, ("username", "password")), "s3cr3t")}
        login |= {"kms": True, "kms_key_identifier": "key-1"} if self.maybe() else {"kms": False}
        return login | self.extended("authentication_info_extensions")

    def marking(self, name: str, kind: str) -> Json:
        marking: Json = {"type": kind, "id": name, "created_by": self.new("identity")}
        marking |= {"created": "2024-01-01T00:00:00.000Z", **self.extended("marking_extensions")}
        if kind == "marking-statement":
            return marking | {"statement": self.text(), "labels": [""], "external_references": self.references()}
        if kind == "marking-tlp":
            return marking | {"tlpv2_level": self.any(["TLP:RED", "TLP:AMBER+STRICT"]), "revoked": True}
        texts = "name description tlp encrypt_in_transit permitted_actions attribution affected_party_notifications"
        marking |= {"iep_version": 2, "start_date": "2024-01-01T00:00:00Z", "end_date": None}
        return (
            marking
            | dict.fromkeys([*texts.split(), "unmodified_resale"], self.text())
            | {"external_references": ["https://host.example"]}
        )

    def extension_definition(self) -> Json:
        said = {"name": self.text(), "schema": "https://host.example/x", "version": "1.0.0"}
        return {"type": "extension-definition", "created_by": self.new("identity"), **said}

    def extended(self, name: str) -> Json:
        if not self.extensions or self.maybe():
            return {}
        return {name: {self.any(list(self.extensions)): {"own_1": [None, {"": 0}]}}}

    def variable(self) -> Json:
        kind = self.any(list(VARIABLES))
        return {"type": kind, "value": VARIABLES[kind], "constant": self.maybe(), "description": self.text()}

    def references(self) -> list[Json]:
        return [{"name": self.text(), "url": "https://host.example", "external_id": "X-1"}]

    def signature(self, count: int) -> Json:
        time = "2024-03-01T00:00:00.001Z"
        signature: Json = dict.fromkeys(("created", "modified", "related_version"), time)
        signature |= {"type": "jss", "id": self.new("jss"), "created_by": self.new("identity")}
        signature |= {"signee": self.text(), "related_to": self.new("playbook"), "value": "AA"}
        signature |= {"hash_algorithm": "sha-256", "algorithm": "RS256"}
        key = self.any(["public_key", "public_cert_chain", "cert_url", "thumbprint"])
        signature[key] = ["AA"] if key == "public_cert_chain" else "AA"
        return signature | ({"signature": self.signature(count - 1)} if count else {})

    # choices

    def new(self, kind: str) -> str:
        """An identifier that nothing else has."""
        self.made += 1
        digest = hashlib.sha256(f"{self.seed} {self.made}".encode()).digest()
        return f"{kind}--{uuid.UUID(bytes=digest[:16], version=4)}"

    def meant(self, known: list[str]) -> str:
        """A text, perhaps with the value of a variable in it."""
        return f"if {self.any(known)}:value == 1" if known and self.maybe() else "__x__ is '5'"

    def text(self) -> str:
        return self.random.choice(TEXTS)

    def any(self, items: Any) -> Any:
        return self.random.choice(items)

    def maybe(self) -> bool:
        return self.random.random() < 0.5

    def rarely(self) -> bool:
        return self.random.random() < 0.2

    def some(self, most: int) -> range:
        return range(self.random.randint(0, most))

    def some_of(self, items: Any) -> list[Any]:
        return [item for item in items if self.maybe()]


def _damages(document: Json) -> Iterator[tuple[Path, Any]]:
    """Places, and what must not stand there."""
    times = ("created", "modified")
    for name in (*times, "type", "spec_version", "id", "name", "created_by", "workflow_start", "workflow"):
        yield (name,), GONE
        yield (name,), 5
    bad: Json = {"type": "book", "spec_version": "1.0", "id": "playbook--1", "created": "2024-02-30", "workflow": []}
    for name in ("derived_from", "related_to", "labels", "markings", "signatures", "external_references"):
        yield (name,), []
    bad |= {"priority": 101, "severity": "high", "impact": -1, "revoked": "no", "playbook_extensions": {}}
    bad |= {"agent_definitions": {}, "playbook_processing_summary": {"if_logic": 1}, "valid_from": "2024-01-01"}
    bad |= {"modified": "2024-03-01T24:00:00.000Z", "workflow_exception": "end", "playbook_types": [5]}
    for name, value in bad.items():
        yield (name,), value
    for name, step in document["workflow"].items():
        yield from _damaged(("workflow", name), _STEPS["all"] | _STEPS.get(step["type"], {}))
    for member in ("agent_definitions", "target_definitions"):
        for name, agent in document.get(member, {}).items():
            if agent["type"] != "soarca":
                yield from _damaged((member, name), _AGENT | (_REACHED if "address" in agent else {}))
    for member, damages in _DEFINITIONS.items():
        for name in document.get(member, {}):
            yield from _damaged((member, name), damages)
    for number, signature in enumerate(document.get("signatures", ())):
        yield from _damaged(("signatures", number), {"value": GONE, "type": "jws", "modified": "now", "signature": 1})
        spare = "thumbprint" if "public_key" in signature else "public_key"
        yield ("signatures", number, spare), "AA"


def _damaged(path: Path, damages: Json) -> Iterator[tuple[Path, Any]]:
    return (((*path, name), value) for name, value in damages.items())


_STEPS: Json = {
    "all": {"type": "single", "name": 5, "delay": -1, "step_extensions": {}, "owner": "me", "external_references": []},
    "start": {"on_success": f"end--{uuid.UUID(int=0)}", "on_completion": 5},
    "end": {"on_completion": f"end--{uuid.UUID(int=0)}"},
    "action": {"commands": [{}], "agent": GONE, "targets": [], "in_args": [5]},
    "playbook-action": {"playbook_id": "it", "playbook_version": "1.0", "out_args": []},
    "parallel": {"next_steps": [f"end--{uuid.UUID(int=0)}"]},
    "if-condition": {"condition": GONE, "on_true": "then", "on_false": 5},
    "while-condition": {"condition": 5, "on_true": GONE},
    "switch-condition": {"switch": GONE, "cases": {"a": "nowhere"}},
}
_AGENT: Json = {"type": "x", "name": GONE, "agent_target_extensions": {}, "location": {"region": "mars"}}
_REACHED: Json = {"address": {"ipv4": ["300.1.1.1"]}, "authentication_info": "me", "category": []}
_DEFINITIONS: dict[str, Json] = {
    "authentication_info_definitions": {"type": GONE, "kms": "yes", "authentication_info_extensions": {}},
    "data_marking_definitions": {"created": GONE, "id": 5, "revoked": "no", "valid_from": "soon"},
    "extension_definitions": {"schema": GONE, "type": "x", "external_references": [{}]},
    "playbook_variables": {"type": GONE, "value": 5, "constant": "no"},
}
