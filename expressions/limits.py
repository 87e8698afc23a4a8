"""The limits of templates and conditions, each with its reason.

They limit time and memory before any work starts: users who may write an action write templates, and senders of alerts
supply their values. The same holds for conditions: CEL cannot be interrupted, so its cost is computed beforehand.
"""

#: characters of one template; the longest useful message or request body is a tenth of this
MAX_TEMPLATE_CHARACTERS = 16 * 1024

#: ``{{ }}`` in one template; a body that needs more is data: insert it as one value with ``json``
MAX_EXPRESSIONS = 200

#: lookups, filters and arguments inside one expression; it also keeps recursion over it shallow
MAX_NESTING = 20

#: characters of one rendered text and of every intermediate result (``json`` may double what it is given)
MAX_RENDERED_CHARACTERS = 256 * 1024

#: characters of all texts that one call of ``render`` inserts: as much as a request body may have
MAX_TOTAL_CHARACTERS = 1024 * 1024

#: containers inside containers, the same bound as for request bodies
MAX_DEPTH = 32

#: compiled templates kept; several times the number of texts in a large catalogue of actions
CACHED_TEMPLATES = 2048

#: names compared for a suggestion, and the longest of them; the cost is the product
MAX_SUGGESTION_CANDIDATES = 200
MAX_SUGGESTION_CHARACTERS = 64

#: characters and tokens of one condition; the tokens also bound how deep CEL's parser goes (500 of them need
#: less than the 256 KiB of the smallest stack a thread may have)
MAX_CONDITION_CHARACTERS = 4096
MAX_CONDITION_TOKENS = 500

#: levels of ``exists``, ``all`` and the like; a third multiplies the cost by the length of the list once more
MAX_MACRO_NESTING = 2

#: values (each 64 characters of text are one more) that one condition may read; copying them takes about 20 ms
MAX_CONDITION_VALUES = 10_000

#: containers inside containers of a value that a condition reads: a request body's and the few around it
MAX_CONDITION_DEPTH = 64

#: copies of one small value that evaluating a condition may take at most; each takes 0.1 to 0.2 microseconds
MAX_CONDITION_WORK = 250_000

#: characters of a pattern, and bytes of its compiled form: both decide how long compiling takes
MAX_MATCH_CHARACTERS = 256
MAX_MATCH_BYTES = 64 * 1024

#: instructions of the compiled pattern times characters of the text, in one evaluation; RE2 needs at most
#: 9 nanoseconds for each (and mostly a hundredth of that)
MAX_MATCH_WORK = 6_000_000

#: compiled conditions kept
CACHED_CONDITIONS = 1024
