"""Grants: who covers which tenants, namespaces, providers and actions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import grants
from gateway.grants import Grant

NAMES = st.sampled_from(["acme", "acme.eu", "acme.eu.north", "acme-corp", "acmeeu", "b", "b.acme"])
PATTERNS = st.lists(st.one_of(NAMES, st.just("*")), min_size=1, max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*", "acme", True),
        ("acme", "acme", True),
        ("acme", "acme.eu", True),
        ("acme", "acme.eu.north", True),
        ("acme", "acme-corp", False),
        ("acme", "acmeeu", False),
        ("acme.eu", "acme", False),
        ("acme.eu", "acme.eux", False),
    ],
)
def test_a_parent_covers_its_children_only(pattern, name, covered):
    """``acme`` covers ``acme.eu``, never ``acme-corp``."""
    assert grants.covers(pattern, name) is covered


def test_one_grant_must_cover_all_four_parts():
    """Two grants that each cover a part do not add up to one that covers both."""
    given_grants = grants.read(
        [
            {"tenants": ["acme"], "namespaces": ["alerts"], "providers": ["email"]},
            {"tenants": ["b"], "actions": ["page"]},
        ]
    )
    assert grants.allows(given_grants, "acme.eu", "alerts", "email", "anything")
    assert not grants.allows(given_grants, "acme", "alerts", "sms", "page")
    assert grants.allows(given_grants, "b", "x", "sms", "page")
    assert not grants.allows(given_grants, "b", "x", "sms", "call")
    assert not grants.allows((), "b", "x", "sms", "call")


def test_a_caller_without_grants_has_its_own_workspace():
    """The own workspace has no children, whoever creates one."""
    own = grants.own("acme")
    assert grants.allows(own, "acme", "n", "p", "a")
    assert not grants.allows(own, "acme.eu", "n", "p", "a")
    assert grants.scope(own) == grants.TenantScope(everything=False, names=("acme",))
    assert not grants.allows_tenants(own, ["acme"])


def test_what_concerns_tenants_needs_a_grant_over_all_of_them():
    """Reload needs ``*``; a toggle the tenants of its rule; a grant with other limits does not count."""
    everything, acme = grants.read([{"tenants": ["*"]}, {"tenants": ["acme"]}])
    limited = Grant(tenants=("*",), providers=("email",))
    assert grants.allows_tenants([everything], ["*"])
    assert not grants.allows_tenants([limited], ["*"])
    assert not grants.allows_tenants([acme], ["*"])
    assert grants.allows_tenants([acme], ["acme.eu", "acme"])
    assert not grants.allows_tenants([acme], ["acme", "b"])


@given(st.lists(PATTERNS, max_size=3), NAMES)
def test_the_scope_covers_what_the_grants_cover(patterns, name):
    """A query over the scope finds exactly the tenants that a grant covers."""
    given_grants = [Grant(tenants=one) for one in patterns]
    scope = grants.scope(given_grants)
    found = scope.everything or name in scope.names or any(f"{name}.".startswith(f"{one}.") for one in scope.parents)
    assert found is any(grant.covers_tenant(name) for grant in given_grants)


@given(PATTERNS, PATTERNS, st.booleans())
def test_a_caller_sees_what_may_concern_its_tenants(tenants, patterns, exact):
    """Rules of a tenant, of its parents and of its children may concern a grant; those of others never do."""
    grant = (
        Grant(tenants=tuple(one for one in tenants if one != "*") or ("acme",), exact=True) if exact else Grant(tenants)
    )
    universe = ["acme", "acme.eu", "acme.eu.north", "acme-corp", "acmeeu", "b", "b.acme", "c"]
    universe += [f"{name}.x" for name in universe]
    common = [
        name for name in universe if grant.covers_tenant(name) and any(grants.covers(one, name) for one in patterns)
    ]
    assert grants.may_concern([grant], patterns) is bool(common)
    assert grants.may_concern([grant], ())


@given(st.one_of(NAMES, st.just("*")), st.one_of(NAMES, st.just("*")), NAMES)
def test_a_covered_pattern_covers_no_more(pattern, other, name):
    """What a covered pattern covers, the covering one covers too."""
    if grants.covers_pattern(pattern, other) and grants.covers(other, name):
        assert grants.covers(pattern, name)


@pytest.mark.parametrize(
    ("written", "pointer", "words"),
    [
        ({}, "", "must be a list"),
        ([], "", "must be a list"),
        ([{"tenants": ["a"], "tenant": ["a"]}], "/0/tenant", "did you mean 'tenants'"),
        ([{"namespaces": ["a"]}], "/0/tenants", "names its tenants"),
        ([{"tenants": "acme"}], "/0/tenants", "must be a list"),
        ([{"tenants": ["acme*"]}], "/0/tenants/0", "no other wildcards"),
        ([{"tenants": ["acme..eu"]}], "/0/tenants/0", "must be '*' or a name"),
        ([{"tenants": ["acme."]}], "/0/tenants/0", "must be '*' or a name"),
        ([{"tenants": [""]}], "/0/tenants/0", "must be '*' or a name"),
        ([{"tenants": ["a\nb"]}], "/0/tenants/0", "must be '*' or a name"),
        ([5], "/0", "must be an object"),
    ],
)
def test_faults_of_grants(written, pointer, words):
    """A grant that cannot be read is a fault at its member."""
    assert any(problem.pointer == pointer and words in problem.detail for problem in grants.check(written))


#: exact grants are names of workspaces: no caller has one of ``*``
GRANTS = st.builds(Grant, PATTERNS, PATTERNS, st.just(("*",)), PATTERNS, st.booleans()).filter(
    lambda grant: not (grant.exact and "*" in grant.tenants)
)


@given(st.lists(GRANTS, max_size=3), GRANTS, NAMES, NAMES, NAMES)
def test_nobody_hands_on_more_than_they_have(mine, wanted, tenant, namespace, action):
    """Where grants include another, they cover all that it covers."""
    if grants.include(mine, wanted) and wanted.covers(tenant, namespace, "any", action):
        assert grants.allows(mine, tenant, namespace, "any", action)


@given(GRANTS, st.lists(GRANTS, max_size=2))
def test_what_one_has_can_be_handed_on(wanted, others):
    """Among any others, a grant includes itself; ``*`` includes all of them."""
    assert grants.include([*others, Grant()], wanted)
    assert grants.include([*others, wanted], wanted)


def test_grants_come_back_as_written():
    """What a caller wrote is what lists show; missing parts are all."""
    written = [{"tenants": ["acme"], "providers": ["email"]}]
    assert grants.check(written) == []
    assert grants.read(written)[0].written() == {
        "tenants": ["acme"],
        "namespaces": ["*"],
        "providers": ["email"],
        "actions": ["*"],
    }
