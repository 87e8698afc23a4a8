"""Executions of actions: follow, cancel and decide them."""

from __future__ import annotations

from tocsin.cli.nouns.runs import watch_command
from tocsin.cli.root import noun
from tocsin.cli.verb import declare

executions = noun("executions")

declare(executions, "list", "listExecutions", "The executions, the newest first.")
declare(executions, "get", "getExecution", "One execution.")
watch_command(executions, "execution_id", "listExecutions")


declare(executions, "logs", "listExecutionLogs", "Its log lines, in order of time.")
declare(
    executions,
    "cancel",
    "cancelExecution",
    "Cancel it.",
    asks="Cancel {execution_id}?",
    said="{execution_id} is cancelled.",
)
declare(
    executions,
    "approve",
    "approveExecution",
    "Approve what it waits for.",
    members=("note",),
    said="{execution_id} is approved.",
)
declare(
    executions,
    "reject",
    "rejectExecution",
    "Reject what it waits for.",
    members=("note",),
    said="{execution_id} is rejected.",
)
