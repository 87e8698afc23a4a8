"""The SDK is what its tools make of the OpenAPI document, and reaches all that the document has."""

import ast
import functools
import importlib
import importlib.util
import inspect
import json
import typing
from pathlib import Path

import pytest
from tocsin import AsyncClient, Client, errors, models
from tocsin._errors import of_status
from tocsin._operation import KEYWORDS
from tocsin._operations import OPERATIONS

from tests.house.test_shape import ROOT
from tests.support.api import _application

SDK = ROOT / "sdk"
#: parameters that no method needs, because every method does what they are for
OWN = {"envelope"}
#: answers of a second kind, for which there is a method of its own
SECOND = {"sendEvent": "EventForecast", "getRecord": "AllRecords"}


@functools.cache
def tool(name):
    """A program of ``sdk/tools``."""
    spec = importlib.util.spec_from_file_location(f"sdk_tools_{name}", SDK / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def document():
    """The OpenAPI document of the application."""
    return json.loads(_application().test_client().get("/openapi.json").get_data())


def resources(client):
    """The classes of the client's half."""
    kind = "_async" if client is AsyncClient else "_sync"
    return {
        one
        for path in sorted((SDK / "tocsin" / kind).rglob("*.py"))
        if path.name != "__init__.py"
        for one in vars(
            importlib.import_module(".".join(("tocsin", *path.relative_to(SDK / "tocsin").with_suffix("").parts)))
        ).values()
        if inspect.isclass(one) and one.__module__.startswith(f"tocsin.{kind}")
    }


def methods(client):
    """Operation → the method that carries it out, with what that says of itself."""
    found = {}
    for kind in resources(client):
        for method in vars(kind).values():
            for carried in getattr(method, "operations", ()):
                found.setdefault(carried.operation, []).append((method, carried))
    return found


def test_the_generated_modules_are_current():
    """``make sdk`` changes nothing: fields, operations and errors are those of the document."""
    for name, text in tool("generate").written(document()).items():
        assert (SDK / "tocsin" / name).read_text() == text, f"{name} is out of date: make sdk"


def test_the_synchronous_half_is_current():
    """``make sdk`` changes nothing: the synchronous half is the asynchronous one without waiting."""
    made = tool("sync").derive()
    there = {
        path.relative_to(SDK / "tocsin/_sync").as_posix(): path.read_text()
        for path in (SDK / "tocsin/_sync").rglob("*.py")
    }
    assert there == made, "tocsin/_sync is out of date: make sdk"
    assert not [name for name, text in made.items() if "await " in text or "async " in text]


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_operation_has_a_method(client):
    """What the document has is a call away, and no method is for something that is not there."""
    wanted = {op["operationId"] for _, _, op in tool("generate").operations(document())}
    assert set(methods(client)) == wanted


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_parameter_has_a_keyword(client):
    """Each query parameter, each member of a plain body and each place in a path is a parameter of the method."""
    missing = []
    for name, known in OPERATIONS.items():
        method, carried = methods(client)[name][0]
        words = set(inspect.signature(method).parameters)
        whole = words & {"definition", "document", "changes", "given"}
        for parameter in (*known.query, *(() if whole else known.body)):
            keyword = carried.keywords.get(parameter, KEYWORDS.get(parameter, parameter))
            if not {keyword, f"{keyword}_"} & words and parameter not in OWN and parameter not in carried.own:
                missing.append(f"{name}: {parameter}")
    assert not missing


def test_methods_answer_with_the_model_of_the_document():
    """A method decodes an operation's answer as the class that the document says."""
    wrong = []
    for path in sorted((SDK / "tocsin/_async").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name, kind = node.args[:2]
            if not (isinstance(name, ast.Constant) and name.value in OPERATIONS and isinstance(kind, ast.Attribute)):
                continue
            wanted = OPERATIONS[name.value].answer
            if kind.attr not in (wanted, SECOND.get(name.value)):
                wrong.append(f"{path.name}: {name.value} is {wanted}, not {kind.attr}")
    assert not wrong


def test_every_code_has_a_class():
    """Each code that the document names is an error that can be caught, of the class of its status."""
    for code, statuses in tool("generate").codes(document()).items():
        kind = errors.BY_CODE[code]
        assert issubclass(kind, errors.ApiError)
        assert any(issubclass(kind, of_status(status)) for status in statuses), code


def test_both_halves_have_the_same_methods():
    """``Client`` and ``AsyncClient`` differ in waiting only."""

    def shapes(client):
        return {
            name: [str(one) for one in inspect.signature(found[0][0]).parameters.values()]
            for name, found in methods(client).items()
        }

    assert shapes(Client) == shapes(AsyncClient)


def test_every_resource_of_the_client_is_there():
    """Each resource that a client names can be reached."""
    client = Client("http://127.0.0.1:1", "k")
    for name in Client.__annotations__:
        assert getattr(client, name) is getattr(client, name)
    client.close()


def test_the_page_lists_every_method():
    """docs/sdk.md names each resource with its methods."""
    client = Client("http://127.0.0.1:1", "k")
    rows = []
    for name in sorted(Client.__annotations__):
        kinds = reversed(type(getattr(client, name)).__mro__)
        words = [one for kind in kinds for one, what in vars(kind).items() if inspect.isfunction(what)]
        rows.append(f"| `{name}` | {', '.join(f'`{one}`' for one in words if not one.startswith('_'))} |")
    client.close()
    table = (ROOT / "docs/sdk.md").read_text().partition("## All methods")[2]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


def test_the_generator_is_short():
    """The generator stays something that is read in a quarter of an hour."""
    assert len((SDK / "tools/generate.py").read_text().splitlines()) < 300


def test_models_keep_their_names():
    """The classes that people name in their code are there, with members of the right kind."""
    hints = typing.get_type_hints(models.Run, vars(models))
    assert hints["status"] == models.RunStatus
    assert hints["steps"] in (list[models.RunStep], typing.List[models.RunStep])  # noqa: UP006
    assert Path(models.__file__).is_relative_to(SDK)
