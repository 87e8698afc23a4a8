"""The example bodies that several families share."""

ACTOR = {"id": "3f1c9a60b2d4", "kind": "key", "name": "deploy"}

META = {
    "total": 1,
    "total_is_estimate": False,
    "page": 1,
    "per_page": 20,
    "total_pages": 1,
    "next_cursor": None,
}


VERDICT = {
    "valid": False,
    "warnings": [],
    "errors": [
        {
            "path": "$.parameters[0].type",
            "pointer": "/parameters/0/type",
            "message": "Invalid parameter type 'text'. Allowed: string, integer, boolean, enum, secret.",
        }
    ],
}
