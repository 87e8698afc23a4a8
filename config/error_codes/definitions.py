"""The codes about actions, playbooks, documents, keys and users."""

from config.error_codes.entry import ErrorCode, answered, either, ended

ROWS: tuple[ErrorCode, ...] = (
    answered(
        400,
        "invalid_action",
        "The definition of the action has faults.",
        "Look at `errors`; `POST /api/actions/validate` finds all faults without storing anything.",
    ),
    answered(
        400,
        "invalid_playbook",
        "The definition of the playbook has faults.",
        "Look at `errors`; `POST /api/playbooks/validate` finds all faults without storing anything.",
    ),
    answered(
        400,
        "not_recognised",
        "The document is neither CACAO, nor a STIX bundle with a playbook, nor a definition.",
        "Send one of these three; a definition has at least a name and steps.",
    ),
    answered(
        422,
        "invalid_cacao",
        "The CACAO document cannot be imported.",
        "Look at `errors`; `lenient=true` imports what can be understood and lists the rest.",
    ),
    answered(
        422,
        "not_signable",
        "Only CACAO documents are signed.",
        "Leave `sign` out, or export with `format=cacao`.",
    ),
    answered(
        422,
        "no_signing_key",
        "The server has no usable key to sign exports with.",
        "The operator sets the key; until then leave `sign` out.",
    ),
    answered(
        409,
        "already_exists",
        "There is one of that id or name already.",
        "Change the existing one, or choose another id.",
    ),
    answered(
        409,
        "version_exists",
        "The version exists already, with another content.",
        "Give a higher version, or none: it goes up by itself.",
    ),
    answered(
        409,
        "changed",
        "Another request has changed it at the same moment.",
        "Read it again, and apply your change to what it is now.",
    ),
    answered(
        409,
        "in_use",
        "Playbooks need it.",
        "`used_by` names them. Change them first, or send `force=true`.",
    ),
    ErrorCode(
        "secret_needed",
        "A masked secret stands where its value is needed.",
        "Send the secret itself: what a mask stands for cannot be taken over here.",
        (400, 409, 422),
        ends=True,
    ),
    either(
        409,
        "sealed",
        "A sealed value does not open: its key is not set, or it was altered or moved.",
        "Set the secret again, or have the operator restore the TOCSIN_SECRET_KEY that it was sealed with.",
    ),
    either(
        409,
        "action_disabled",
        "The action is disabled.",
        "Enable it with `POST /api/actions/{action_id}/enable`, or use another.",
    ),
    either(
        409,
        "action_missing",
        "The action is gone.",
        "Create it again, or change the playbook that names it.",
    ),
    either(
        409,
        "playbook_disabled",
        "The playbook is disabled.",
        "Enable it with `POST /api/playbooks/{playbook_id}/enable`.",
    ),
    either(
        409,
        "provider_disabled",
        "The provider is disabled.",
        "Enable it in the providers of the configuration, and reload.",
    ),
    either(
        409,
        "provider_missing",
        "The playbook uses a provider that is gone.",
        "Configure the provider again, or change the step.",
    ),
    ErrorCode(
        "provider_not_found",
        "There is no provider of that name.",
        "`GET /v1/providers` lists those there are; `errors` suggests one.",
        (404, 409),
        ends=True,
    ),
    ErrorCode(
        "chain_not_found",
        "There is no chain of that name.",
        "Compare the rule with the chains of the configuration.",
        (404, 409),
        ends=True,
    ),
    answered(
        404,
        "not_configured",
        "The operator has not configured this.",
        "The detail names the setting; docs/settings.md has all.",
    ),
    answered(
        500,
        "embedding_failed",
        "The provider of embeddings has failed.",
        "Repeat the request where `retryable` is true; else the operator looks at the provider.",
    ),
    answered(
        409,
        "last_admin_key",
        "It is the last key of an admin.",
        "Create another admin's key first.",
    ),
    answered(
        409,
        "altered",
        "The row of the user was altered by another program than Tocsin.",
        "Make the user again: what the row says cannot be trusted.",
    ),
    answered(
        400,
        "not_a_session",
        "The request came with a key, and this is for people who have signed in.",
        "Sign in with `POST /v1/auth/login`; a key is revoked with `DELETE /api/keys/{key_id}`.",
    ),
    answered(403, "wrong_password", "The old password is wrong.", "Try again, or have an admin set a new one."),
    ended(
        "not_installed",
        "An extra of the installation is missing.",
        "The message names it; the operator installs it.",
    ),
)
