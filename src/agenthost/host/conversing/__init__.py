"""Conversations: what people write finds its task, and what tasks say is told where it was asked for."""
