"""Findings → alerts → messages: rule table, life cycle, routing, outbox, delivery."""
