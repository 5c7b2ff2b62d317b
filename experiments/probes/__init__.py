"""Probes: what a network learned."""
