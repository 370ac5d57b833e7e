"""Audits: what a model may do to the people and things in its pictures."""

from diptych.audit.bias.bias_audit import bias

__all__ = ["bias"]
