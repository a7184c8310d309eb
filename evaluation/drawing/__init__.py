"""Markup, figures and style that the report and the tracing page share."""
