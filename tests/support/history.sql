-- Statements of tests.support.history; {names} are filled in, and a blank line ends a statement.

INSERT INTO executions (id, workspace_id, kind, action_id, revision_id, status, queue, mode, idempotent, timeout_ms,
    attempt, failures, lapses, publishes, due_at, expires_at, target, input, output, error, logs,
    created_by, created_at, started_at, completed_at)
WITH RECURSIVE {u}
SELECT 'exec-' || {time} || {number}, {workspace}, 'action', {action}, {action_revision},
    CASE WHEN u.i % 100 = 12 AND u.ended THEN 'timeout' ELSE u.status END, 'steps', 'live', true, 30000,
    1, 0, 0, 1, {due}, u.at + 86400000, {target}, {input}, {output}, {error}, {logs},
    'key', u.at, u.at + 20, CASE WHEN u.ended THEN u.at + 60 END
FROM u

INSERT INTO executions (id, workspace_id, kind, action_id, revision_id, status, queue, mode, idempotent, timeout_ms,
    attempt, failures, lapses, publishes, due_at, expires_at, target, input, error,
    created_by, created_at, started_at, completed_at, cause, context)
WITH RECURSIVE {u}
SELECT 'pexec-' || {time} || {number}, {workspace}, 'playbook', {playbook}, {playbook_revision},
    u.status, 'steps', CASE WHEN u.i % 50 = 13 THEN 'dry_run' ELSE 'live' END, true, 60000,
    0, 0, 0, 1, {due}, u.at + 86400000, CASE WHEN u.ended THEN {target} END, {input}, {error},
    'key', u.at + 1, u.at + 21, CASE WHEN u.ended THEN u.at + 600 END,
    CASE WHEN u.i % 3 = 0 THEN 'event' WHEN u.i % 12 = 1 THEN 'schedule' WHEN u.i % 100 = 5 THEN 'retry' ELSE 'api' END,
    '{{"event":null,"pins":{{}}}}'
FROM u

-- a pending run has no steps; of a running one the fourth waits, for approval in every fourth unit
INSERT INTO executions (id, workspace_id, kind, action_id, revision_id, status, queue, mode, idempotent, timeout_ms,
    attempt, failures, lapses, publishes, due_at, expires_at, target, input, output, error, logs,
    created_by, created_at, started_at, completed_at, run_id, step_id, iteration, type, waiting_for)
WITH RECURSIVE {u}, s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {steps}),
us AS (SELECT u.*, s.n, u.ended OR s.n < 3 AS done FROM u, s WHERE u.ended OR u.status = 'running' AND s.n < 4)
SELECT 'pexec-' || {time} || {number} || '.' || {step}, {workspace}, 'step', {action}, {action_revision},
    CASE WHEN u.ended THEN u.status WHEN u.done THEN 'completed' ELSE 'waiting' END, 'steps', 'live', true, 30000,
    1, 0, 0, 1, CASE WHEN NOT u.done THEN {until} + 3600000 END, u.at + 86400000, {target},
    {input}, {output}, {error}, {logs},
    'key', u.at + 2 + u.n * 100, u.at + 5 + u.n * 100, CASE WHEN u.done THEN u.at + 90 + u.n * 100 END,
    'pexec-' || {time} || {number}, {step}, '', 'action',
    CASE WHEN u.done THEN NULL WHEN u.i % 4 = 0 THEN 'approval' ELSE 'retry' END
FROM us AS u

INSERT INTO audit (workspace_id, at, actor, event, subject)
SELECT workspace_id, created_at, 'key', 'execution.accepted', id FROM executions
WHERE created_at >= {from_} AND created_at < {to} ORDER BY created_at

INSERT INTO audit (workspace_id, at, actor, event, subject, details,
    outcome, origin, namespace, provider, action_type, caller, began_at)
SELECT workspace_id, completed_at, 'steps@host', 'execution.' || status, id, '{{"attempt":1}}',
    CASE WHEN kind = 'playbook' THEN NULL WHEN status = 'completed' THEN 'executed'
        WHEN status = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
    CASE kind WHEN 'action' THEN 'trigger' WHEN 'step' THEN 'step' END,
    CASE kind WHEN 'action' THEN 'actions' WHEN 'step' THEN 'playbooks' END,
    CASE WHEN kind <> 'playbook' THEN 'webhook' END,
    CASE WHEN kind <> 'playbook' THEN action_id END,
    CASE WHEN kind <> 'playbook' THEN created_by END,
    CASE WHEN kind <> 'playbook' THEN created_at END
FROM executions
WHERE created_at >= {from_} AND created_at < {to} AND completed_at IS NOT NULL ORDER BY completed_at

-- every tenth unit had a dispatch that a rule stopped
INSERT INTO audit (workspace_id, at, actor, event, subject, details,
    outcome, origin, namespace, provider, action_type, given_id, verdict, rule, caller, began_at)
SELECT workspace_id, created_at, 'key', 'dispatch.suppressed', 'disp-' || substr(id, 6), '{{"reason":"night"}}',
    'suppressed', 'dispatch', 'notifications', 'email', 'send', 'given-' || id, 'suppress', 'block-spam', 'key', created_at
FROM executions
WHERE created_at >= {from_} AND created_at < {to} AND kind = 'action' AND id LIKE '%0'

INSERT INTO payloads (subject, workspace_id, at, body)
SELECT subject, workspace_id, at, '{{"to":"user@example.com"}}' FROM audit
WHERE at >= {from_} AND at < {to} AND outcome IS NOT NULL

INSERT INTO idempotency_keys (workspace_id, key, fingerprint, execution_id, created_at)
SELECT workspace_id, 'key/' || id, 'f', id, created_at FROM executions
WHERE created_at >= {from_} AND created_at < {to} AND kind = 'action'
