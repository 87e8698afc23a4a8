"""How large a template may be, each bound with its reason.

They bound time and memory before any work is done: a template comes from whoever may write an action, the
values in it from whoever can cause an alert.
"""

#: characters of one template; the longest useful message or request body is a tenth of this
MAX_TEMPLATE_CHARACTERS = 16 * 1024

#: ``{{ }}`` in one template; a body that needs more is data: insert it as one value with ``json``
MAX_EXPRESSIONS = 200

#: lookups, filters and arguments inside one expression; also what keeps every walk over it shallow
MAX_NESTING = 20

#: characters of one rendered text and of every intermediate result (``json`` may double what it is given)
MAX_RENDERED_CHARACTERS = 256 * 1024

#: characters of all texts that one call of ``render`` inserts: as much as a request body may have
MAX_TOTAL_CHARACTERS = 1024 * 1024

#: containers inside containers, the same bound as for request bodies
MAX_DEPTH = 32

#: compiled templates kept; several times the number of texts in a large catalogue of actions
CACHED_TEMPLATES = 2048

#: names compared when a suggestion is looked for, and the longest compared; it costs their product
MAX_SUGGESTION_CANDIDATES = 200
MAX_SUGGESTION_CHARACTERS = 64
