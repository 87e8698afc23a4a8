"""Writes what the SDK knows of the API from the application's OpenAPI document: ``python sdk/tools/generate.py``.

In order of time: the document is made by the application's own code, without a server; the schemas of answers become
classes of annotations (``tocsin/models.py``), the operations a table (``tocsin/_operations.py``), the codes of errors
classes (``tocsin/errors.py``). Needs the server's packages; the SDK itself does not. Nothing here knows a name of the
API: what the document says is what is written.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sdk" / "tocsin"
Json = dict[str, Any]

_MADE = '"""{title}\n\nMade by ``sdk/tools/generate.py`` from the OpenAPI document; do not edit.\n"""\n\n'
_METHODS = ("get", "post", "put", "patch", "delete")
_JSON, _PROBLEM = "application/json", "application/problem+json"
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_WIDTH = 116
#: what may be of more kinds than these may be anything
_MEANINGFUL = 3


def document() -> Json:
    """The OpenAPI document, as the application of this checkout renders it."""
    with tempfile.TemporaryDirectory() as var:
        for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
            del os.environ[name]
        os.environ.update(TOCSIN_ENV="development", TOCSIN_VAR_DIR=var, TOCSIN_REDIS_URL=f"unix://{var}/none")
        sys.path.insert(0, str(ROOT))
        from api import create_app

        answer = create_app().test_client().get("/openapi.json")
        found: Json = json.loads(answer.get_data())
        return found


def operations(doc: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, method and description of each operation, by its id."""
    found = [
        (path, method, item[method]) for path, item in doc["paths"].items() for method in _METHODS if method in item
    ]
    shared = {path: item.get("parameters", []) for path, item in doc["paths"].items()}
    for path, method, op in sorted(found, key=lambda one: one[2]["operationId"]):
        parameters = [resolve(doc, one) for one in [*shared[path], *op.get("parameters", [])]]
        yield path, method, {**op, "parameters": parameters}


def resolve(doc: Json, what: Json) -> Json:
    """What a reference stands for."""
    while "$ref" in what:
        found: Any = doc
        for part in what["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        what = found
    return what


def good_answers(doc: Json, op: Json) -> Iterator[Json]:
    """The schemas of the JSON that an operation answers where all is well; first of 202 and 201, then of 200."""
    for status, answer in sorted(op["responses"].items(), reverse=True):
        content = resolve(doc, answer).get("content", {})
        if status.startswith("2") and _JSON in content:
            yield content[_JSON].get("schema", {})


class Models:
    """The classes of all schemas that answers are made of."""

    def __init__(self, doc: Json) -> None:
        self._doc = doc
        self.classes: dict[str, list[str]] = {}
        self._enums: dict[tuple[str, ...], list[str]] = {}
        self._unions: dict[str, list[str]] = {}
        self._order: list[str] = []
        #: of each operation: the member that holds the answer, the class of it (or of its items), the member with items
        self.answers = {}
        for _, _, op in operations(doc):
            known = [self._answer(op["operationId"], one) for one in good_answers(doc, op)]
            self.answers[op["operationId"]] = (*known, ("", "", ""))[0]

    def _answer(self, name: str, schema: Json) -> tuple[str, str, str]:
        whole = resolve(self._doc, schema)
        members = whole.get("properties", {})
        data = members.get("data")
        lists = [member for member, one in members.items() if self._is_list(one)]
        if data is not None and self._is_list(data):
            return "", self.type_of(data["items"], "Item", "Data"), "data"
        if data is not None and ("$ref" in data or "properties" in data):
            more = members.keys() - {"data", "meta"} - resolve(self._doc, data).get("properties", {}).keys()
            if not more:
                return "data", self.type_of(data, "Data", "Data"), ""
            written = schema["$ref"].rpartition("/")[2].removesuffix("Answer")
            base = self.type_of(data, written, "Data")
            self._class(written, {"properties": {one: members[one] for one in members if one in more}}, base)
            return "data", written, ""
        if len(lists) == 1 and name.startswith("list"):
            return "", self.type_of(members[lists[0]]["items"], "Item", "Items"), lists[0]
        named = re.findall(r"\w+", self.type_of(schema, "Answer", "Answer"))
        return "", next((one for one in named if one in self.classes), ""), ""

    def _is_list(self, schema: Json) -> bool:
        return resolve(self._doc, schema).get("type") == "array"

    def type_of(self, schema: Json, owner: str, member: str) -> str:
        """The annotation for a schema that is a member of a class."""
        if "$ref" in schema:
            name, schema = str(schema["$ref"]).rpartition("/")[2], resolve(self._doc, schema)
            if {"$ref"} == {key for one in schema.get("oneOf", []) for key in one}:
                if name not in self._unions:
                    self._unions[name] = []  # its parts may name it
                    self._unions[name] = [self.type_of(one, name, "") for one in schema["oneOf"]]
                return name
            if not schema.get("properties"):
                return self.type_of(schema, name, "")
            self._class(name, schema)
            return name
        for word in ("anyOf", "oneOf"):
            if word in schema:
                some = enumerate(schema[word])
                return self._union([self.type_of(one, owner, f"{member}{number or ''}") for number, one in some])
        kinds, words = schema.get("type", []), schema.get("enum", [schema.get("const")])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        found = ["None"] if "null" in kinds or None in schema.get("enum", []) else []
        key = tuple(sorted(one for one in words if isinstance(one, str)))
        if key:
            self._enums.setdefault(key, []).append(owner + member)
            return self._union([f"«{'|'.join(key)}»", *found])
        found += [self._plain(kind, schema, owner, member) for kind in kinds if kind != "null"]
        return self._union(found) if found else "Any"

    def _plain(self, kind: str, schema: Json, owner: str, member: str) -> str:
        if kind == "string" and schema.get("format") == "date-time":
            return "datetime"
        if kind == "array":
            return f"List[{self.type_of(schema.get('items', {}), owner, re.sub('(?<=ch)es$|s$', '', member))}]"
        if kind == "object" and schema.get("properties"):
            name = owner + member
            self._class(name, schema)
            return name
        if kind == "object":
            more = schema.get("additionalProperties")
            return f"Dict[str, {self.type_of(more, owner, member) if isinstance(more, dict) else 'Any'}]"
        return _SCALARS.get(kind, "Any")

    @staticmethod
    def _union(kinds: list[str]) -> str:
        flat = [part for one in kinds for part in ([one[9:-1], "None"] if one.startswith("Optional[") else [one])]
        some = [one for one in dict.fromkeys(flat) if one != "None"]
        if "Any" in some or len(some) > _MEANINGFUL:
            return "Any"
        inner = some[0] if len(some) == 1 else f"Union[{', '.join(some)}]"
        return f"Optional[{inner}]" if some and "None" in flat else inner if some else "None"

    def _class(self, name: str, schema: Json, base: str = "Model") -> None:
        if name in self.classes:
            return
        lines = self.classes[name] = []
        words = schema.get("description", "")
        required, told = schema.get("required", []), "required" in schema
        for member, one in schema["properties"].items():
            kind = self.type_of(one, name, "".join(part.title() for part in re.split(r"[_-]", member)))
            kind = self._union([kind, "None"]) if told and member not in required else kind
            lines.append(f"    {member}{'_' if keyword.iskeyword(member) else ''}: {kind}")
            text = resolve(self._doc, one).get("description") or one.get("description")
            lines.extend(_doc(text, 4) if text else [])
        lines[:0] = [f"class {name}({base}):", *_doc(words or "As the server answers it.", 4), ""]
        self._order.append(name)

    def render(self) -> str:
        """The module."""
        # of several members with the same words the shortest name stands for all
        names = {words: min(set(names), key=lambda one: (len(one), one)) for words, names in self._enums.items()}
        body = "\n\n\n".join("\n".join(self.classes[name]) for name in self._order)
        body = re.sub(r"«(.+?)»", lambda found: names[tuple(found[1].split("|"))], body)
        aliases = "\n".join(_literal(name, words) for words, name in sorted(names.items(), key=lambda one: one[1]))
        again = {other: name for words, name in names.items() for other in self._enums[words] if other != name}
        aliases += "\n" + "\n".join(f"{other} = {name}" for other, name in sorted(again.items()))
        imports = "from __future__ import annotations\n\nfrom datetime import datetime\n"
        imports += "from typing import Any, Dict, List, Literal, Optional, Union\n\nfrom tocsin._model import Model\n\n"
        head = _MADE.format(title="The objects of answers, with their members.")
        unions = "".join(f"{name} = Union[{', '.join(parts)}]\n" for name, parts in self._unions.items())
        return f"{head}{imports}{aliases}\n\n\n{body}\n\n\n{unions}"


def _doc(text: str, indent: int) -> list[str]:
    text = " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")
    text += " " if text.endswith('"') else ""
    lines = textwrap.wrap(text, _WIDTH - indent - 3)
    lines = [f'"""{text}"""'] if len(lines) == 1 else [f'"""{lines[0]}', *lines[1:], '"""']
    return [" " * indent + line for line in lines]


def _literal(name: str, words: tuple[str, ...]) -> str:
    line = f"{name} = Literal[{', '.join(map(repr, words))}]"
    several = "".join(f"    {word!r},\n" for word in words)
    return line if len(line) <= _WIDTH + 4 else f"{name} = Literal[\n{several}]"


def table(doc: Json, models: Models) -> str:
    """The module with the table of operations."""
    lines = ["from __future__ import annotations\n\nfrom typing import Dict\n"]
    lines += ["from tocsin._operation import Operation\n\nOPERATIONS: Dict[str, Operation] = {"]
    for path, method, op in operations(doc):
        within, answer, items = models.answers[op["operationId"]]
        creates = method == "post" and not {"201", "202"}.isdisjoint(op["responses"])
        body = resolve(doc, op.get("requestBody", {})).get("content", {})
        members = resolve(doc, body.get(_JSON, {}).get("schema", {})).get("properties", {})
        values = {
            "method": method.upper(),
            "path": path,
            "query": _named(op, "query"),
            "headers": _named(op, "header"),
            "body": tuple(one for one, kind in members.items() if not kind.get("readOnly")),
            "within": within,
            "answer": answer,
            "items": items,
            "creates": creates,
        }
        given = [f"{name}={value!r}" for name, value in values.items() if value or name in ("method", "path")]
        lines += [f"    {op['operationId']!r}: Operation(", *(f"        {one}," for one in given), "    ),"]
    return _MADE.format(title="The operations of the API.") + "\n".join([*lines, "}", ""])


def _named(op: Json, place: str) -> tuple[str, ...]:
    return tuple(one["name"] for one in op["parameters"] if one["in"] == place)


def codes(doc: Json) -> dict[str, set[int]]:
    """The codes of errors that the document names, with the statuses that they come with."""
    found: dict[str, set[int]] = {}
    for _, _, op in operations(doc):
        for status, answer in op["responses"].items():
            content = resolve(doc, answer).get("content", {}).get(_PROBLEM, {})
            examples = [content.get("example"), *(one.get("value") for one in content.get("examples", {}).values())]
            named = [one["code"] for one in examples if isinstance(one, dict) and "code" in one]
            for code in {*named, *_named_codes(doc, content.get("schema", {}))} if status.isdigit() else ():
                found.setdefault(code, set()).add(int(status))
    return found


def _named_codes(doc: Json, schema: Json) -> Iterator[str]:
    schema = resolve(doc, schema)
    code = resolve(doc, schema.get("properties", {}).get("code", {}))
    yield from code.get("enum", [code["const"]] if "const" in code else [])
    for word in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(word, []):
            yield from _named_codes(doc, one)


def errors(doc: Json) -> str:
    """The module with a class for each code."""
    sys.path.insert(0, str(PACKAGE.parent))
    from tocsin import _errors

    statuses = {kind.__name__: kind for kind in _errors.BY_STATUS.values()}
    made, by_code, used = [], [], set()
    for code, known in sorted(codes(doc).items()):
        name = "".join(part.title() for part in code.split("_"))
        bases = list(dict.fromkeys(_errors.of_status(status).__name__ for status in sorted(known)))
        if name not in statuses and name not in _errors.__all__:
            used.update(bases)
            made.append(f'class {name}({", ".join(bases)}):\n    """The code ``{code}``."""')
        used.update({name} & statuses.keys())
        by_code.append(f"    {code!r}: {name},")
    head = "from __future__ import annotations\n\nfrom typing import Dict, Type\n\n"
    head += "from tocsin._errors import *  # noqa: F403 - all of it\nfrom tocsin._errors import "
    head += ", ".join(sorted({"ApiError", *used})) + "\n"
    known_codes = "#: code → its class; a code that is not here has the class of its status\n"
    known_codes += "BY_CODE: Dict[str, Type[ApiError]] = {\n" + "\n".join(by_code) + "\n}\n"
    title = _MADE.format(title="The errors: a class for each status and each code.")
    return title + "\n\n\n".join([head, *made, known_codes])


def written(doc: Json) -> dict[str, str]:
    """Name → text of each module."""
    models = Models(doc)
    return {"models.py": models.render(), "_operations.py": table(doc, models), "errors.py": errors(doc)}


def main() -> None:
    """Write the three modules, of the document of this checkout or of one in a file."""
    doc = json.loads(Path(sys.argv[1]).read_text()) if sys.argv[1:] else document()
    for name, text in written(doc).items():
        (PACKAGE / name).write_text(text)


if __name__ == "__main__":
    main()
