"""Configs of probes: what a network learned."""
