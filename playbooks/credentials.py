"""Recognises credentials by names and by the forms of addresses.

``is_secret_header``, ``is_secret_query`` and ``is_secret_member`` judge names. ``spans`` finds the credentials inside a
text: user and password before a host, query members of such names, the addresses of chat and incident services whose
path is the credential, and members of a body that is written as text. A text that is a template and nothing else is no
credential: a parameter fills it in later, and may be a secret itself. ``looks_random`` finds keys that no name reveals.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

#: version of the rules; raise it with every new rule, so that stored data is masked again
#: (``tasks.secrets.remask``)
RULES = 1
#: the text that replaces a credential
MASK = "********"

Span = tuple[int, int]

#: words that make a header or query member a credential, except inside some other words
_SECRET = re.compile(
    r"key(?!word|board|note)|token|secret|auth(?!ors?(?![a-z])|ority)|(?<!by)(?<!com)pass(?!through|enger|ive|age)|pwd"
    r"|cookie|session|credential|signature|(?<![a-z])sig(?:n(?:ed|ing)?)?(?![a-z])"
)
#: complete names of credentials
_EXACTLY = frozenset({"sec", "pass", "code", "hmac"})
#: names with such a word that are no credentials, without dashes and underscores
_PLAIN = frozenset(
    {"idempotencykey", "xidempotencykey", "xauthemail", "xauthuser", "xauthusername", "xauthtype", "authtype"}
    | {"wwwauthenticate", "proxyauthenticate", "authenticationresults", "tokentype", "xtokentype", "keytype"}
    | {"surrogatekey", "cachekey", "secwebsocketkey", "publickey", "sortkey", "orderkey", "groupkey", "partitionkey"}
    | {
        "pagetoken",
        "nextpagetoken",
        "nexttoken",
        "continuationtoken",
        "skiptoken",
        "xamzsignedheaders",
        "signedheaders",
    }
    | {"maxtokens", "projectkey", "issuekey", "spacekey", "dedupkey", "deduplicationkey", "correlationkey"}
    | {"keyid", "xkeyid", "xamzserversideencryptionawskmskeyid", "authorid", "authorname", "authoremail"}
)
#: members of a body: only unambiguous names; a ``key`` or a ``session`` there is mostly no credential
_MEMBER = re.compile(
    r"(?:x|my|user|client|account|admin|access|refresh|auth|bot|api|app|id|bearer|security|service|shared|signing|webhook"
    r"|integration|routing|license|private|encryption|write|read|ingest|hec|personal|oauth|session|jwt)*"
    r"(?:passw(?:or)?d|passphrase|passwort|secret|token|apikey|secretkey|accesskey|privatekey|servicekey|routingkey"
    r"|integrationkey|authkey|signingkey|sharedkey|licensekey|writekey|credentials?)"
)

_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_FILLED = "\0"
_QUERY = re.compile(r"[?&;#]([^?&;#=\s\"'<>/]{1,128})=([^&;#\s\"'<>]+)")
_USER = re.compile(r"://([^/?#\s\"'<>@]+)@")
_JSON_MEMBER = re.compile(r"\"([A-Za-z0-9_.-]{1,64})\"\s{0,8}:\s{0,8}\"([^\"\\]+)\"")
_FORM_MEMBER = re.compile(r"(?:\A|(?<=&))([A-Za-z0-9_.-]{1,64})=([^&\s\"'<>]+)")

#: addresses whose path is the credential: everything after the part given here, up to the query
_ADDRESSES = (
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/",
    r"(?:[a-z0-9-]+\.)?webhook\.office\.com/webhookb2/",
    r"outlook\.office(?:365)?\.com/webhook/",
    r"(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/",
    r"chat\.googleapis\.com/v1/spaces/",
    r"events(?:\.eu)?\.pagerduty\.com/(?:integration|x-ere)/",
    r"(?:alert|api)\.victorops\.com/integrations/generic/[0-9]+/alert/",
    r"api\.telegram\.org/(?:file/)?bot",
    r"automation\.atlassian\.com/pro/hooks/",
    r"(?:webexapis\.com|api\.ciscospark\.com)/v1/webhooks/incoming/",
    r"(?:open\.feishu\.cn|open\.larksuite\.com)/open-apis/bot/v2/hook/",
    r"hooks\.zapier\.com/hooks/",
    r"hook\.[a-z0-9.]*make\.com/",
    r"maker\.ifttt\.com/trigger/[^/?#\s\"'<>]+/(?:json/)?with/key/",
    r"hooks\.torq\.io/v1/webhooks/",
    r"[a-z0-9.-]+\.tines\.com/webhook/",
    r"(?:www\.)?zenduty\.com/api/(?:events|integration)/",
    r"(?:api|hooks)\.(?:squadcast|rootly)\.(?:com|io)/(?:v[0-9]+/)?(?:incidents|webhooks)/",
    r"oncall-[a-z0-9.-]+\.grafana\.net/(?:oncall/)?integrations/v1/",
    r"hc-ping\.com/",
    r"api\.flock\.com/hooks/sendMessage/",
)
_ADDRESS = re.compile(rf"https?://(?:{'|'.join(_ADDRESSES)})([^?#\s\"'<>]+)", re.IGNORECASE)
#: Mattermost and Rocket.Chat run on hosts of their owners: the form of the path reveals them
_HOOK = re.compile(
    r"https?://[^/?#\s\"'<>]+(?:/[a-z0-9_-]{1,32})?/hooks/(\*{8}|[A-Za-z0-9]{16,}(?:/[A-Za-z0-9]{16,})?)(?![A-Za-z0-9/])"
)

_LONG_ENOUGH = 20
#: bits per character: random hexadecimal digits have at most 4, English words about 3.5 with few different letters
_ENTROPY = 3.0
_WORD = re.compile(r"[A-Za-z0-9+_~-]+")
#: a word whose pieces are all shorter than this is several words joined by dashes
_PIECE = 12
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@functools.lru_cache(maxsize=1024)  # the same few names with every call
def is_secret_header(name: str) -> bool:
    """Whether a header of this name carries a credential."""
    return _is_called(name)


@functools.lru_cache(maxsize=1024)
def is_secret_query(name: str) -> bool:
    """Whether a query member of this name carries a credential.

    The name may be percent-encoded.
    """
    return _is_called(unquote(name))


@functools.lru_cache(maxsize=1024)
def is_secret_member(name: str) -> bool:
    """Whether a member of a body of this name carries a credential."""
    return _MEMBER.fullmatch(_bare(name)) is not None and _bare(name) not in _PLAIN


def _is_called(name: str) -> bool:
    lower, bare = name.lower()[:256], _bare(name)
    return bare not in _PLAIN and (bare in _EXACTLY or _SECRET.search(lower) is not None)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()[:256])


def is_template(text: str) -> bool:
    """Whether a text consists of templates only."""
    return not _TEMPLATE.sub("", text).strip()


def spans(text: str, *, body: bool = False, most: int | None = None) -> list[Span]:
    """The credentials in a text as spans, from left to right.

    ``body`` says that the text is a body. At most ``most`` are searched for.
    """
    if "://" not in text and not body and "?" not in text:
        return []
    blank = _TEMPLATE.sub(lambda found: _FILLED * len(found[0]), text)  # the places of everything else stay
    standing = (span for span in _found(blank, body=body) if blank[slice(*span)].strip(_FILLED))
    found = sorted(set(islice(standing, most)))
    apart: list[Span] = []
    for start, end in found:
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _found(text: str, *, body: bool) -> Iterator[Span]:
    for match in _QUERY.finditer(text):
        if is_secret_query(match[1]):
            yield match.span(2)
    if "://" in text:
        for expression in (_USER, _ADDRESS, _HOOK):
            yield from (match.span(1) for match in expression.finditer(text))
    if body:
        for expression in (_JSON_MEMBER, _FORM_MEMBER):
            yield from (match.span(2) for match in expression.finditer(text) if is_secret_member(match[1]))


def shown(url: str) -> str:
    """A URL as reports show it, with its credentials masked."""
    return replaced(url, spans(url))


def replaced(text: str, places: list[Span]) -> str:
    """The text with masks at these places."""
    pieces, done = [], 0
    for start, end in places:
        pieces += [text[done:start], MASK]
        done = end
    return "".join([*pieces, text[done:]])


def looks_random(text: str) -> bool:
    """Whether a word of a text is likely a key or token.

    Such a word is long, in one piece, of many different characters.
    """
    if not _LONG_ENOUGH <= len(text) <= 4096:  # noqa: PLR2004 - a longer one is a document
        return False
    words = _WORD.findall(_TEMPLATE.sub(" ", text))
    return any(_is_random(word) for word in words if len(word) >= _LONG_ENOUGH)


def _is_random(word: str) -> bool:
    if _UUID.fullmatch(word) or all(len(piece) < _PIECE for piece in re.split(r"[-_]", word)):
        return False
    kinds = sum(any(map(kind, word)) for kind in (str.islower, str.isupper, str.isdigit))
    return kinds > 1 and _entropy(word) >= _ENTROPY


def _entropy(word: str) -> float:
    """Bits per character."""
    return -sum(count / len(word) * math.log2(count / len(word)) for count in Counter(word).values())
