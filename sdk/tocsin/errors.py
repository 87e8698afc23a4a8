"""The errors: a class for each status and each code.

Made by ``sdk/tools/generate.py`` from the OpenAPI document; do not edit.
"""

from __future__ import annotations

from typing import Dict, Type

from tocsin._errors import *  # noqa: F403 - all of it
from tocsin._errors import ApiError, BadRequest, Conflict, Forbidden, Gone, InvalidValues, NotFound, RequestTimeout, ServerError, ServiceUnavailable, TooLarge, TooManyRequests, Unauthorized, UnsupportedMediaType



class InternalError(ServerError):
    """The code ``internal_error``."""


class InvalidParameters(InvalidValues):
    """The code ``invalid_parameters``."""


class InvalidRequest(BadRequest):
    """The code ``invalid_request``."""


class RateLimited(TooManyRequests):
    """The code ``rate_limited``."""


class Unavailable(ServiceUnavailable):
    """The code ``unavailable``."""


#: code → its class; a code that is not here has the class of its status
BY_CODE: Dict[str, Type[ApiError]] = {
    'conflict': Conflict,
    'forbidden': Forbidden,
    'gone': Gone,
    'internal_error': InternalError,
    'invalid_parameters': InvalidParameters,
    'invalid_request': InvalidRequest,
    'not_found': NotFound,
    'rate_limited': RateLimited,
    'request_timeout': RequestTimeout,
    'too_large': TooLarge,
    'unauthorized': Unauthorized,
    'unavailable': Unavailable,
    'unsupported_media_type': UnsupportedMediaType,
}
