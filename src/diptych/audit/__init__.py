"""Audits: what a model may do to the people and things in its pictures."""

from diptych.audit.bias.bias_audit import bias
from diptych.audit.privacy.privacy_audit import privacy

__all__ = ["bias", "privacy"]
