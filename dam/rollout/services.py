"""Every write of rollouts; each is kept as a step, except a shadow share and the rules."""

from dam.rollout.promotion import canary_set, promotion_ask, rules_set, shadow_set
from dam.rollout.registration import version_register
from dam.rollout.serving import serving_report, step_settle, withdrawn_ask_again
from dam.rollout.withdrawal import rollback, version_take_back, version_undo

__all__ = [
    "canary_set",
    "promotion_ask",
    "rollback",
    "rules_set",
    "serving_report",
    "shadow_set",
    "step_settle",
    "version_register",
    "version_take_back",
    "version_undo",
    "withdrawn_ask_again",
]
