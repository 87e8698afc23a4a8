"""Tick: the duties of every second, in the order of this table.

The scheduler sends the message; any number of schedulers and control workers do no harm, because each duty changes its
rows by guarded statements. A new duty is a function of ``tasks.clock`` and one line here.
"""

from config.errors import Unavailable
from store.engine import db
from store.gateway import due
from tasks.app import app
from tasks.clock import announce, approval_notices, losses, metrics, monitors, schedules, sweep
from tasks.clock.duty import Duty, carry_out
from tasks.clock.gateway import group_flushes, recurring, silences, timeouts
from tasks.clock.reach import reach
from tasks.clock.trail import sealing

DUTIES = (
    Duty("broker", losses.republish_all),
    Duty("schedules", schedules.fire_due, seconds=0.5, if_due="schedules"),
    Duty("recurring", recurring.fire_due, seconds=0.8, if_due="recurring"),
    Duty("timeouts", timeouts.move_late, seconds=0.5, if_due="events"),
    Duty("deaths", losses.republish_left_behind),
    Duty("recovery", sweep.handle_due, seconds=0.9),
    Duty("audit_trail", sealing.seal, seconds=0.3, counted=False),
    Duty("announcements", announce.announce_due),
    Duty("notices", approval_notices.look_after, seconds=0.3, if_due="notices"),
    Duty("silences", silences.look_after, seconds=0.3, if_due="silences"),
    Duty("groups", group_flushes.flush_due, seconds=0.8, if_due="groups"),
    Duty("metrics", metrics.count, seconds=0.3, counted=False),
    Duty("monitors", monitors.report, seconds=0.3, counted=False),
)


@app.task(name="tocsin.tick", ignore_result=True)
def tick() -> dict[str, int]:
    """Carry out what is due; returns the rows that each duty handled."""
    try:
        return carry_out(DUTIES, lambda: db.read_one(due.look))
    except db.Contended:
        return {}
    except Unavailable:
        reach.missed()
        return {}
